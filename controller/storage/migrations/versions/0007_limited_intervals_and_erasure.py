"""What truly stood is on record, letters about no case, and erasing that leaves a trace."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ONLY_GROWS = """
    CREATE TRIGGER timeline_only_grows BEFORE UPDATE ON case_events
    WHEN NOT (
        NEW.text IS '' AND NEW.salt IS x'' AND NEW.id IS OLD.id AND NEW.case_id IS OLD.case_id
        AND NEW.at IS OLD.at AND NEW.event IS OLD.event AND NEW.actor IS OLD.actor
        AND OLD.event IS NOT 'erased'
        AND NEW.digest IS OLD.digest AND NEW.link IS OLD.link
        AND EXISTS (
            SELECT 1 FROM cases WHERE id = OLD.case_id AND state = 'closed' AND tenant = ''
        )
    )
    BEGIN SELECT RAISE(ABORT, 'timeline_only_grows: a line of a history is never changed'); END
    """
# All that 0004 made for SQLite, too: no database of this kind is older than these.
_POSTGRESQL = (
    """
    CREATE FUNCTION timeline_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.text = '' AND NEW.salt = '' AND OLD.event <> 'erased'
            AND (NEW.id, NEW.case_id, NEW.at, NEW.event, NEW.actor, NEW.digest, NEW.link)
                = (OLD.id, OLD.case_id, OLD.at, OLD.event, OLD.actor, OLD.digest, OLD.link)
            AND EXISTS (
                SELECT 1 FROM cases WHERE id = OLD.case_id AND state = 'closed' AND tenant = ''
            )
        THEN RETURN NEW; END IF;
        RAISE integrity_constraint_violation
            USING MESSAGE = 'timeline_only_grows: a line of a history is never changed';
    END $$
    """,
    """
    CREATE TRIGGER timeline_only_grows BEFORE UPDATE ON case_events
    FOR EACH ROW EXECUTE PROCEDURE timeline_only_grows()
    """,
    """
    CREATE FUNCTION timeline_keeps_lines() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE integrity_constraint_violation
            USING MESSAGE = 'timeline_keeps_lines: a line of a history is never deleted';
    END $$
    """,
    """
    CREATE TRIGGER timeline_keeps_lines BEFORE DELETE OR TRUNCATE ON case_events
    FOR EACH STATEMENT EXECUTE PROCEDURE timeline_keeps_lines()
    """,
    """
    CREATE FUNCTION contact_came_first() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.ordered_by IS NULL AND NOT EXISTS (
            SELECT 1 FROM notices
            WHERE id = NEW.notice_id AND case_id = NEW.case_id AND accepted_at IS NOT NULL
        ) THEN
            RAISE integrity_constraint_violation
                USING MESSAGE = 'contact_came_first: no channel has accepted the notice';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER contact_came_first BEFORE INSERT ON orders
    FOR EACH ROW EXECUTE PROCEDURE contact_came_first()
    """,
)
_LONGEST_SUSPENSION_SECONDS = 600.0
_SUSPENSION_OVER = ("suspension-ended", "suspension-refused")


def upgrade() -> None:
    """Make the tables, and fill them with what the histories tell."""
    op.add_column("orders", sa.Column("confirmed_at", sa.Float()))
    op.create_index("cases_by_closing_time", "cases", ["closed_at"])
    op.create_index("orders_by_confirmation", "orders", ["confirmed_at"])
    _create_suspensions()
    _create_announcements()
    confirm_orders(op.get_bind())
    tell_suspensions(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER timeline_only_grows")
        op.execute(_ONLY_GROWS)
    else:
        for statement in _POSTGRESQL:
            op.execute(statement)


def _create_suspensions() -> None:
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("ordered_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.Float(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("confirmed_at", sa.Float()),
        sa.Column("ended_at", sa.Float()),
        sa.CheckConstraint(
            "length(ordered_by) > 0 AND length(reason) > 0", name="suspended_by_name"
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_announcements() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("sending_since", sa.Float(), nullable=False),
        sa.Column("next_try_at", sa.Float()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("accepted_at", sa.Float()),
        sa.Column("failed_at", sa.Float()),
        sa.Column("channel", sa.Text()),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "kind", "about", name="announced_once"),
    )
    op.create_index("announcements_by_due_time", "announcements", ["next_try_at"])


def confirm_orders(connection: sa.Connection) -> None:
    """A host confirmed an order when its case's history says first that the limit started."""
    connection.execute(
        sa.text(
            "UPDATE orders SET confirmed_at = (SELECT min(at) FROM case_events "
            "WHERE case_events.case_id = orders.case_id AND event = 'limit-started' "
            "AND at >= orders.issued_at "
            "AND (orders.ended_at IS NULL OR at <= orders.ended_at))"
        )
    )


def tell_suspensions(connection: sa.Connection) -> None:
    """Those that stand, out of their cases; of those that ended, what the histories say.

    No host said then that a suspension stood, so all count as confirmed when they were ordered.
    """
    cases = connection.execute(
        sa.text(
            "SELECT id, host, tenant, document FROM cases WHERE id IN "
            "(SELECT case_id FROM case_events WHERE event = 'suspended')"
        )
    ).all()
    for case_id, host, tenant, document in cases:
        lines = connection.execute(
            sa.text(
                "SELECT at, event, actor, text FROM case_events WHERE case_id = :id ORDER BY id"
            ),
            {"id": case_id},
        ).all()
        standing = json.loads(document).get("suspension")
        for number, (at, by, reason, ended_at) in enumerate(_told(lines)):
            lasts = standing if ended_at is None else None
            row = {
                "id": lasts["order"] if lasts else f"{case_id}-suspension-{number}",
                "case_id": case_id,
                "host": host,
                "tenant": tenant,
                "ordered_by": by,
                "reason": reason,
                "ordered_at": at,
                "lease_until": lasts["lease_until"] if lasts else at + _LONGEST_SUSPENSION_SECONDS,
                "confirmed_at": at,
                "ended_at": ended_at,
            }
            connection.execute(
                sa.text(
                    f"INSERT INTO suspensions ({', '.join(row)}) "  # noqa: S608 - our own names
                    f"VALUES ({', '.join(f':{name}' for name in row)})"
                ),
                row,
            )


def _told(lines: Iterable[Any]) -> list[tuple[float, str, str, float | None]]:
    """When, by whom, why and until when, of each suspension that a history tells of; one that was
    refused never stood."""
    told: list[tuple[float, str, str, float | None]] = []
    under_way: tuple[float, str, str] | None = None
    for at, event, actor, text in lines:
        if event == "suspended":
            under_way = at, actor, text
        elif under_way and (event in _SUSPENSION_OVER or event.startswith("closed-")):
            if event != "suspension-refused":
                told.append((*under_way, at))
            under_way = None
    return [*told, (*under_way, None)] if under_way else told
