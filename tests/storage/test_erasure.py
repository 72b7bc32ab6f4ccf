"""No column that can say something of a tenant is forgotten when the tenant is."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import erasure, schema
from controller.storage.database import Database
from controller.storage.plain_text import PlainText
from tests.storage.rows import add_case, add_notice

NOT_OURS_TO_ERASE = {
    "hosts",
    "enrolment_tokens",
    "api_tokens",
    "reports",  # of whole hosts, and gone after keep_reports
    "switches",
    "pushed_tenants",  # the pusher's to remove, as tenants.toml is the operator's
}
DELETED = {"agreements", "habits", "announcements"}
STAYS = {
    "cases": {"id", "host", "resource", "state", "document"},  # the document is the desk's to erase
    "case_events": {"case_id", "event", "actor", "digest", "link"},
    "notices": {"id", "case_id", "kind", "channel", "letter"},
    "mails": {"id", "case_id", "letter", "outcome"},
    "delivery_tries": {"letter", "contact", "channel", "outcome"},
    "orders": {"id", "case_id", "host", "resource", "notice_id", "ordered_by"},
    "suspensions": {"id", "case_id", "host", "ordered_by"},
}
"""What of an erased case stays: where, when and how, and who at the provider."""
MARK = "said of the tenant"


def _is_words(column: sa.Column[object]) -> bool:
    return isinstance(column.type, PlainText | sa.LargeBinary)


def test_every_table_is_either_about_no_tenant_or_erased_or_deleted() -> None:
    assert set(schema.metadata.tables) == NOT_OURS_TO_ERASE | DELETED | STAYS.keys()


async def test_of_an_erased_case_nothing_stays_but_where_when_and_how(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection, tenant=MARK, state="closed", closed_at=200.0)
        await add_notice(connection, id=MARK)
        for name in STAYS.keys() - {"cases", "notices"}:
            await connection.execute(schema.metadata.tables[name].insert().values(_filled(name)))
        for name in ("notices",):
            table = schema.metadata.tables[name]
            await connection.execute(table.update().values(_words(name)))
        before = await _marked(connection)
        await erasure.erase_case(connection, "c1")
        after = await _marked(connection)
    assert before.keys() >= STAYS.keys() - {"cases"}
    left = {name: found - STAYS[name] for name, found in after.items()}
    assert {name: columns for name, columns in left.items() if columns} == {}


def _words(name: str) -> dict[str, object]:
    """Every column that can hold words, but what the rows are found by, says it."""
    table = schema.metadata.tables[name]
    fixed = {"id", "case_id", "letter", "notice_id"}
    return {
        column.name: MARK.encode() if isinstance(column.type, sa.LargeBinary) else MARK
        for column in table.columns
        if _is_words(column) and column.name not in fixed
    }


def _filled(name: str) -> dict[str, object]:
    table = schema.metadata.tables[name]
    numbers = {
        column.name: 1
        for column in table.columns
        if not _is_words(column) and not column.nullable and not column.primary_key
    }
    row = numbers | _words(name)
    row |= {key: "c1" for key in ("case_id",) if key in table.c}
    row |= {key: MARK for key in ("letter",) if key in table.c}
    row |= {"id": "x1"} if "id" in table.c and _is_words(table.c.id) else {}
    outcome: dict[str, dict[str, object]] = {
        "delivery_tries": {"outcome": "refused"},
        "mails": {"raw": None},
    }
    return row | outcome.get(name, {})


async def _marked(connection: AsyncConnection) -> dict[str, set[str]]:
    """By table, the columns that say it still."""
    found: dict[str, set[str]] = {}
    for name in STAYS:
        rows = await connection.execute(sa.select(schema.metadata.tables[name]))
        for row in rows.mappings():
            said = {key for key, value in row.items() if value in (MARK, MARK.encode())}
            found[name] = found.get(name, set()) | said
    return found
