"""Brings a database to this version's schema.

Alembic is imported only when there is something to do: it costs memory that a controller at rest
has no use for. A new migration is a module in `migrations/versions`, and `HEAD` names it.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa

HEAD = "0008"
"""The newest revision in `migrations/versions`."""


def migrate(connection: sa.Connection) -> None:
    """Upgrade in the transaction of `connection`, which is all or nothing."""
    if _revision(connection) == HEAD:
        return
    # Before the import, which tells of every plugin that it finds.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415 - see the module's first lines
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "controller.storage:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
