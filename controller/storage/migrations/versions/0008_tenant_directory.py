"""Tenants that are pushed by another system, and a role that may do only that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their table, and let tokens have the role."""
    op.create_table(
        "pushed_tenants",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("document", sa.Text()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("length(tenant) > 0 AND length(changed_by) > 0", name="pushed_by_name"),
        sa.PrimaryKeyConstraint("tenant"),
        sa.UniqueConstraint("revision"),
    )
    with op.batch_alter_table("api_tokens") as table:
        table.drop_constraint("known_role", type_="check")
        table.create_check_constraint("known_role", "role IN ('viewer', 'operator', 'directory')")
