"""Histories that nobody changes quietly: not through the database, and not past it unseen."""

from __future__ import annotations

import importlib

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from controller.storage import audit, cases, notices, schema, timeline
from controller.storage.audit import Audit
from controller.storage.chain import FIRST_LINK
from controller.storage.database import Database


async def case(database: Database, id_: str, tenant: str = "hog", lines: int = 3) -> None:
    async with database.write() as connection:
        await cases.insert(
            connection,
            id=id_,
            host="h1",
            tenant=tenant,
            resource="cpu",
            state="watching",
            opened_at=1.0,
            closed_at=None,
            due_at=None,
            version=1,
            document="{}",
        )
        for number in range(lines):
            await timeline.add(
                connection, id_, [(float(number), "opened", "rule", f"Bødker {number}")]
            )


async def audited(database: Database, expected: bytes | None = None) -> Audit:
    async with database.read() as connection:
        return await audit.audit(connection, expected)


@pytest.fixture
async def recorded(database: Database) -> Database:
    """Two cases, three lines each."""
    await case(database, "c1")
    await case(database, "c2", tenant="other")
    return database


async def past_the_triggers(database: Database, *statements: str) -> None:
    """As somebody who has the file, or the server, can."""
    async with database.write() as connection:
        of_table = " ON case_events" if connection.dialect.name == "postgresql" else ""
        for name in ("timeline_only_grows", "timeline_keeps_lines"):
            await connection.exec_driver_sql(f"DROP TRIGGER {name}{of_table}")
        for statement in statements:
            await connection.exec_driver_sql(statement)


BLANK = {"text": "", "salt": b""}


@pytest.mark.parametrize(
    "also",
    [
        {"text": "milder"},
        {"salt": b"x"},
        {"actor": "nobody"},
        {"event": "closed"},
        {"at": 7.0},
        {"case_id": "c2"},
        {"digest": b"x"},
        {"link": b"x"},
    ],
    ids=lambda also: next(iter(also)),
)
async def test_a_line_is_made_blank_with_its_case_and_changed_in_no_other_way(
    recorded: Database, also: dict[str, object]
) -> None:
    events = schema.case_events
    async with recorded.write() as connection:
        table = schema.cases.update().where(schema.cases.c.id == "c1")
        await connection.execute(table.values(state="closed", closed_at=9.0, tenant=""))
        await connection.execute(events.update().where(events.c.id == 1).values(BLANK))

    with pytest.raises(IntegrityError, match="timeline_only_grows"):
        async with recorded.write() as connection:
            await connection.execute(events.update().where(events.c.id == 2).values(BLANK | also))


async def test_no_line_is_made_blank_whose_case_is_not_erased(recorded: Database) -> None:
    with pytest.raises(IntegrityError, match="timeline_only_grows"):
        async with recorded.write() as connection:
            await connection.execute(schema.case_events.update().values(BLANK))


async def test_what_was_only_added_holds(recorded: Database) -> None:
    found = await audited(recorded)
    assert (found.lines, found.faults) == (6, [])
    assert found.head != FIRST_LINK


async def test_a_line_that_no_database_takes_as_it_is_holds_too(recorded: Database) -> None:
    async with recorded.write() as connection:
        await timeline.add(connection, "c1", [(9.0, "note", "ada", "one\0two")])
        lines = await timeline.of_case(connection, "c1")

    assert lines[-1].text == "one\ufffdtwo"
    assert (await audited(recorded)).faults == []


async def test_an_empty_history_holds(database: Database) -> None:
    assert await audited(database, FIRST_LINK) == Audit()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE case_events SET text = 'milder' WHERE id = 2", "DELETE FROM case_events WHERE id = 6"],
)
async def test_the_database_refuses_to_change_or_delete_a_line(
    recorded: Database, statement: str
) -> None:
    with pytest.raises(IntegrityError, match="a line of a history is never"):
        async with recorded.write() as connection:
            await connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("tampering", "finding", "line"),
    [
        ("UPDATE case_events SET text = 'milder' WHERE id = 2", "line-changed", 2),
        ("UPDATE case_events SET actor = 'customer' WHERE id = 2", "line-changed", 2),
        ("UPDATE case_events SET at = at + 1 WHERE id = 2", "line-changed", 2),
        ("UPDATE case_events SET case_id = 'c2' WHERE id = 2", "line-changed", 2),
        ("DELETE FROM case_events WHERE id = 2", "link-broken", 3),
        ("DELETE FROM case_events WHERE case_id = 'c1'", "link-broken", 4),
        ("UPDATE case_events SET id = 30 WHERE id = 3", "link-broken", 4),
    ],
)
async def test_tampering_past_the_database_is_found_where_it_was_done(
    recorded: Database, tampering: str, finding: str, line: int
) -> None:
    await past_the_triggers(recorded, tampering)
    first = (await audited(recorded)).faults[0]
    assert (first.finding, first.line) == (finding, line)


async def test_lines_cut_off_the_end_are_missed_where_a_link_was_noted(recorded: Database) -> None:
    noted = (await audited(recorded)).head
    await past_the_triggers(recorded, "DELETE FROM case_events WHERE id = 6")
    assert (await audited(recorded)).faults == [], "nobody can tell from the chain alone"
    assert [fault.finding for fault in (await audited(recorded, noted)).faults] == [
        "link-not-found"
    ]


async def test_a_noted_link_is_still_found_after_more_was_written(recorded: Database) -> None:
    noted = (await audited(recorded)).head
    await case(recorded, "c3", tenant="third")
    assert (await audited(recorded, noted)).faults == []


async def test_many_lines_are_read_in_parts_and_all_of_them(
    recorded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "_AT_A_TIME", 2)
    found = await audited(recorded)
    assert (found.lines, found.faults) == (6, [])


async def test_histories_from_before_the_chain_are_linked_by_the_migration(
    recorded: Database,
) -> None:
    migration = importlib.import_module("controller.storage.migrations.versions.0004_on_the_record")

    def relinked(connection: sa.Connection) -> None:
        migration.link_lines(connection)

    await past_the_triggers(recorded)
    async with recorded.write() as connection:
        await connection.execute(schema.case_events.update().values(salt=b"", digest=b"", link=b""))
    assert len((await audited(recorded)).faults) == 12
    async with recorded.write() as connection:
        await connection.run_sync(relinked)
    assert (await audited(recorded)).faults == []


ORDER = {
    "id": "o1",
    "case_id": "c1",
    "host": "h1",
    "tenant": "hog",
    "resource": "cpu",
    "issued_at": 10.0,
    "lease_until": 20.0,
    "reason": "because",
    "document": "{}",
}


async def order(database: Database, **given: str) -> None:
    """Straight into the table, past every check that the program makes."""
    async with database.write() as connection:
        await connection.execute(schema.orders.insert().values(ORDER | given))


async def test_an_order_is_only_stored_after_its_notice_was_accepted(recorded: Database) -> None:
    async with recorded.write() as connection:
        await notices.queue(
            connection, id="n1", case_id="c1", kind="first", queued_at=1.0, document="{}"
        )
    with pytest.raises(IntegrityError, match="contact_came_first"):
        await order(recorded, notice_id="n1")
    async with recorded.write() as connection:
        await notices.mark_accepted(connection, "n1", at=2.0, channel="mail", answer="250 ok")
    await order(recorded, notice_id="n1")


async def test_an_operator_can_order_by_name_whatever_the_mail_server_does(
    recorded: Database,
) -> None:
    await order(recorded, ordered_by="otto")
