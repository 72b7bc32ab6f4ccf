"""Agreements with customers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "agreements",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.Float(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sa.Column("agreed_with", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Float(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("share", sa.Float()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", sa.Float()),
        sa.Column("withdrawn_by", sa.Text(), nullable=False),
        sa.Column("withdrawn_because", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('share', 'exempt', 'test')", name="known_kind"),
        sa.CheckConstraint(
            "(kind = 'share') = (share IS NOT NULL) AND "
            "(share IS NULL OR (share > 0 AND share <= 1))",
            name="share_of_a_share_agreement",
        ),
        sa.CheckConstraint("ends_at > begins_at", name="ends_after_it_begins"),
        sa.CheckConstraint("kind <> 'test' OR ends_at - begins_at <= 1209600", name="brief_test"),
        sa.CheckConstraint(
            "length(tenant) > 0 AND length(agreed_with) > 0 AND length(recorded_by) > 0",
            name="agreed_between_somebody",
        ),
        sa.CheckConstraint(
            "(withdrawn_at IS NOT NULL) = (length(withdrawn_by) > 0)", name="withdrawn_by_name"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
