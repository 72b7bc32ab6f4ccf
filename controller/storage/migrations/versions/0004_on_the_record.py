"""Histories become a chain that only grows, and no order is stored before contact."""

from __future__ import annotations

import hashlib
import json
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NEW = ("salt", "digest", "link")
_TRIGGERS = (
    """
    CREATE TRIGGER timeline_only_grows BEFORE UPDATE ON case_events
    BEGIN SELECT RAISE(ABORT, 'timeline_only_grows: a line of a history is never changed'); END
    """,
    """
    CREATE TRIGGER timeline_keeps_lines BEFORE DELETE ON case_events
    BEGIN SELECT RAISE(ABORT, 'timeline_keeps_lines: a line of a history is never deleted'); END
    """,
    """
    CREATE TRIGGER contact_came_first BEFORE INSERT ON orders
    WHEN NEW.ordered_by IS NULL AND NOT EXISTS (
        SELECT 1 FROM notices
        WHERE id = NEW.notice_id AND case_id = NEW.case_id AND accepted_at IS NOT NULL
    )
    BEGIN SELECT RAISE(ABORT, 'contact_came_first: no channel has accepted the notice'); END
    """,
)


def upgrade() -> None:
    """Link what is there, and let nothing but the program's own words in from now on."""
    with op.batch_alter_table("case_events") as table:
        for name in _NEW:
            table.add_column(sa.Column(name, sa.LargeBinary(), nullable=True))
    link_lines(op.get_bind())
    with op.batch_alter_table("case_events") as table:
        for name in _NEW:
            table.alter_column(name, nullable=False)
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(trigger)


def link_lines(connection: sa.Connection) -> None:
    """Salt, digest and link of every line, from the first on; as chain.py was at this revision."""
    link = bytes(32)
    rows = connection.execute(
        sa.text("SELECT id, case_id, at, event, actor, text FROM case_events ORDER BY id")
    ).all()
    for id_, *fields in rows:
        salt = secrets.token_bytes(16)
        told = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        digest = hashlib.sha256(salt + told).digest()
        link = hashlib.sha256(link + digest).digest()
        connection.execute(
            sa.text(
                "UPDATE case_events SET salt = :salt, digest = :digest, link = :link WHERE id = :id"
            ),
            {"salt": salt, "digest": digest, "link": link, "id": id_},
        )
