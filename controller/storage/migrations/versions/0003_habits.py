"""Tenants' habits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "habits",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("hour_of_week", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("cpu", sa.Float(), nullable=False),
        sa.Column("disk", sa.Float(), nullable=False),
        sa.Column("net_in", sa.Float(), nullable=False),
        sa.Column("net_out", sa.Float(), nullable=False),
        sa.Column("measured_seconds", sa.Float(), nullable=False),
        sa.Column("weeks", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.CheckConstraint("hour_of_week >= 0 AND hour_of_week < 168", name="hour_of_a_week"),
        sa.CheckConstraint("measured_seconds > 0 AND weeks > 0", name="was_measured"),
        sa.PrimaryKeyConstraint("host", "hour_of_week", "tenant"),
        sqlite_with_rowid=False,
    )
