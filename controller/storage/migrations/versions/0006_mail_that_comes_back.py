"""Mail that comes back is kept with its case, and a notice knows where it bounced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Notices that are out already are not known to have gone to anybody by name."""
    # Not in a batch, which would make the table anew under the triggers that speak of it.
    for name in ("sent_to", "bounced"):
        column = sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''"))
        op.add_column("notices", column)
    op.create_table(
        "mails",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("case_id", sa.Text(), sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("letter", sa.Text(), sa.ForeignKey("notices.id")),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("raw", sa.LargeBinary()),
        sa.Column("outcome", sa.Text()),
        sa.Column("sender", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("subject", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("text", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.CheckConstraint("(raw IS NULL) = (outcome IS NOT NULL)", name="raw_until_judged"),
    )
    op.create_index("mails_by_case", "mails", ["case_id", "received_at"])
    op.create_index("mails_by_letter", "mails", ["letter"])
    op.create_index(
        "mails_to_judge",
        "mails",
        ["received_at"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )
