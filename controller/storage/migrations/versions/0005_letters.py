"""Notices go out in letters, and every try to deliver one is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """What was tried before goes out again as the message that it was (promise 5)."""
    op.add_column("notices", sa.Column("letter", sa.Text(), nullable=True))
    op.add_column("notices", sa.Column("sending_since", sa.Float(), nullable=True))
    op.create_index("notices_by_letter", "notices", ["letter"])
    # One that was never refused may have been sent, too: a crash is not counted as a try.
    op.execute("UPDATE notices SET letter = id, sending_since = queued_at")
    op.create_index("cases_by_tenant", "cases", ["tenant"])
    op.create_table(
        "delivery_tries",
        sa.Column("id", _COUNTED, nullable=False),
        sa.Column("letter", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'deferred', 'refused', 'bounced')", name="known_outcome"
        ),
        sa.ForeignKeyConstraint(["letter"], ["notices.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_tries_by_letter", "delivery_tries", ["letter", "id"])
