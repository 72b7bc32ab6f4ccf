"""Alembic's entry: runs the migrations on the connection that `migrate` passes in."""

from __future__ import annotations

from alembic import context

from controller.storage.schema import metadata

connection = context.config.attributes["connection"]
# SQLite cannot alter most of a table; alembic then copies it into a new one.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
