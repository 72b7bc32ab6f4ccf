from __future__ import annotations

from typing import cast

import pytest
import sqlalchemy as sa

from controller.storage import cases, notices, orders, reports, schema, timeline, tries
from controller.storage.database import Database
from controller.storage.reports import ReportRow
from controller.storage.told import DeliveryTry
from tests.storage.rows import add_case, add_notice, issue_order


async def test_a_tenant_has_one_open_case_a_host_and_resource(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_case(connection, id="other-resource", resource="disk")
        await add_case(connection, id="closed", state="closed", closed_at=150.0)

    with pytest.raises(sa.exc.IntegrityError):
        async with database.write() as connection:
            await add_case(connection, id="c2")


async def test_a_name_that_no_database_takes_as_it_is_is_stored_and_found(
    database: Database,
) -> None:
    async with database.write() as connection:
        await add_case(connection, tenant="web\0")
        found = await connection.scalars(
            sa.select(schema.cases.c.tenant).where(schema.cases.c.tenant == "web\0")
        )

    assert list(found) == ["web\ufffd"]


async def test_a_step_from_an_older_version_is_not_stored(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)

        async def step(document: str) -> bool:
            return await cases.update(
                connection,
                id="c1",
                expected_version=1,
                state="notified",
                closed_at=None,
                due_at=5.0,
                version=2,
                document=document,
            )

        assert await step("a")
        assert not await step("b")
        assert await cases.document(connection, "c1") == "a"


async def test_a_history_keeps_the_order_in_which_it_was_written(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await timeline.add(connection, "c1", [(9.0, "opened", "rule", "x"), (5.0, "a", "b", "")])
        await timeline.add(connection, "c1", [])
        await timeline.add(connection, "c1", [(7.0, "closed", "clock", "y")])
        found = await timeline.of_case(connection, "c1")

    assert [(row.at, row.event) for row in found] == [(9.0, "opened"), (5.0, "a"), (7.0, "closed")]


async def test_cases_are_found_by_state_host_and_tenant_newest_first(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection, id="a", document="a", opened_at=1.0)
        await add_case(connection, id="b", document="b", opened_at=2.0, host="h2")
        await add_case(
            connection, id="c", document="c", opened_at=3.0, state="closed", closed_at=9.0
        )
        await add_case(
            connection, id="d", document="d", opened_at=4.0, state="closed", closed_at=8.0
        )
        assert await cases.recent(connection) == ["d", "c", "b", "a"]
        assert await cases.recent(connection, limit=2) == ["d", "c"]
        assert await cases.recent(connection, host="h1", state="watching") == ["a"]
        assert await cases.recent(connection, tenant="nobody") == []
        assert await cases.open_documents(connection) == ["a", "b"]
        assert await cases.last_closed_document(connection, "h1", "t1", "cpu") == "c"
        assert await cases.last_closed_document(connection, "h2", "t1", "cpu") is None


async def test_a_tenant_is_due_until_each_notice_is_accepted_or_given_up(
    database: Database,
) -> None:
    async with database.write() as connection:
        await add_case(connection)
        for name in ("n1", "n2", "n3"):
            await add_notice(connection, id=name)
        assert await notices.due_tenants(connection, 99.0, 9) == []
        assert await notices.due_tenants(connection, 100.0, 9) == ["t1"]
        assert [row.id for row in await notices.waiting(connection, "t1")] == ["n1", "n2", "n3"]
        assert await notices.mark_accepted(connection, "n1", at=1.0, channel="email", answer="250")
        assert await notices.mark_failed(connection, "n2", at=1.0, answer="550")
        assert await notices.mark_retry(connection, "n3", next_try_at=160.0, answer="451")
        assert await notices.due_tenants(connection, 159.0, 9) == []
        assert await notices.due_tenants(connection, 160.0, 9) == ["t1"]
        (left,) = await notices.waiting(connection, "t1")
        assert (left.id, left.tries, left.answer) == ("n3", 1, "451")


async def test_those_who_wait_longest_are_served_first(database: Database) -> None:
    async with database.write() as connection:
        for number, tenant in enumerate(("late", "early", "later")):
            await add_case(connection, id=tenant, tenant=tenant)
            at = {"early": 10.0, "late": 20.0, "later": 30.0}[tenant]
            await add_notice(connection, id=f"n{number}", case_id=tenant, queued_at=at)
        assert await notices.due_tenants(connection, 100.0, 2) == ["early", "late"]


async def test_a_letter_is_decided_once(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        for name in ("n1", "n2"):
            await add_notice(connection, id=name)
        await notices.decide_letter(connection, ["n1", "n2"], "n1", 150.0)
        await notices.decide_letter(connection, ["n2"], "n2", 160.0)
        rows = await notices.waiting(connection, "t1")
        assert {(row.letter, row.sending_since) for row in rows} == {("n1", 150.0)}
        assert await notices.letter_of(connection, "n2") == "n1"
        assert await notices.letter_of(connection, "nobody's") == ""


async def test_time_in_which_nothing_is_to_be_sent_does_not_count_against_a_letter(
    database: Database,
) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_notice(connection)
        await notices.decide_letter(connection, ["n1"], "n1", 150.0)
        await notices.put_off(connection, ["n1"], now=200.0, until=1200.0)
        (row,) = await notices.waiting(connection, "t1")
    assert (row.next_try_at, row.sending_since, row.tries) == (1200.0, 1150.0, 0)


async def test_what_was_sent_or_is_on_its_way_is_counted_by_host_and_resource(
    database: Database,
) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_case(connection, id="c2", resource="disk")
        await add_case(connection, id="c3", tenant="t2")
        for name in ("old", "new", "on-its-way", "undecided", "failed"):
            await add_notice(connection, id=name)
        await add_notice(connection, id="disk", case_id="c2")
        await add_notice(connection, id="other", case_id="c3")
        for name, at in (("old", 99.0), ("new", 100.0), ("disk", 150.0), ("other", 150.0)):
            await notices.mark_accepted(connection, name, at=at, channel="email", answer="250")
        await notices.decide_letter(connection, ["on-its-way", "failed"], "on-its-way", 150.0)
        await notices.mark_failed(connection, "failed", at=150.0, answer="550")
        assert await notices.sent_since(connection, "t1", 100.0) == {
            ("h1", "cpu"): 2,
            ("h1", "disk"): 1,
        }


async def test_every_try_of_a_letter_is_told_of_each_of_its_notices(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_case(connection, id="c2", resource="disk")
        await add_notice(connection, id="n1")
        await add_notice(connection, id="n2", case_id="c2")
        await notices.decide_letter(connection, ["n1", "n2"], "n1", 150.0)
        kept = [
            DeliveryTry("n1", 150.0, "technical", "email", "deferred", "451 later"),
            DeliveryTry("n1", 160.0, "technical", "email", "accepted", "250 ok"),
        ]
        await tries.add(connection, kept)
        assert await tries.of_case(connection, "c1") == kept
        assert await tries.of_case(connection, "c2") == kept


async def test_what_became_of_a_notice_is_recorded_once(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_notice(connection)
        assert await notices.mark_accepted(connection, "n1", at=1.0, channel="email", answer="250")
        assert not await notices.mark_accepted(connection, "n1", at=2.0, channel="x", answer="no")
        assert not await notices.mark_failed(connection, "n1", at=2.0, answer="no")
        assert not await notices.mark_retry(connection, "n1", next_try_at=2.0, answer="no")
        (row,) = await notices.of_case(connection, "c1")
        assert (row.accepted_at, row.failed_at, row.channel) == (1.0, None, "email")


async def test_an_order_may_rest_on_an_accepted_notice_of_its_own_case(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_notice(connection)
        await notices.mark_accepted(connection, "n1", at=1.0, channel="email", answer="250")
        await issue_order(connection, notice_id="n1")

    async with database.read() as connection:
        assert [row.notice_id for row in await orders.standing(connection)] == ["n1"]


async def test_promise_1_no_order_rests_on_a_notice_that_was_not_accepted(
    database: Database,
) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_notice(connection)
        with pytest.raises(orders.NoticeNotAccepted, match="n1"):
            await issue_order(connection, notice_id="n1")


@pytest.mark.parametrize(
    "grounds",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"ordered_by": "ada", "reason": ""}, id="no reason"),
        pytest.param({"reason": "because"}, id="nobody's name"),
        pytest.param({"case_id": "c2", "notice_id": "n1"}, id="another case's notice"),
    ],
)
async def test_promise_1_the_database_refuses_an_order_without_grounds(
    database: Database, grounds: dict[str, str]
) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await add_case(connection, id="c2", tenant="t2")
        await add_notice(connection)
        await notices.mark_accepted(connection, "n1", at=1.0, channel="email", answer="250")

    with pytest.raises(sa.exc.IntegrityError):
        async with database.write() as connection:
            await issue_order(connection, **grounds)


async def test_an_ended_order_stands_no_more_and_changes_no_more(database: Database) -> None:
    async with database.write() as connection:
        await add_case(connection)
        await issue_order(connection, ordered_by="ada", reason="urgent")
        assert await orders.change(connection, "o1", "new")
        assert [row.document for row in await orders.standing(connection)] == ["new"]
        assert await orders.end(connection, "o1", 250.0)
        assert not await orders.end(connection, "o1", 260.0)
        assert not await orders.change(connection, "o1", "newer")
        assert await orders.standing(connection) == []
        assert [row.ended_at for row in await orders.of_case(connection, "c1")] == [250.0]


def _report(sequence: int, *, host: str = "h1", spool: str = "s", body: bytes = b"x") -> ReportRow:
    return ReportRow(host, spool, sequence, 10.0 * sequence, body)


async def test_a_report_is_stored_once_and_only_new_ones_are_named(database: Database) -> None:
    async with database.write() as connection:
        first = await reports.append(connection, [_report(1), _report(2)])
        again = await reports.append(
            connection, [_report(2, body=b"changed"), _report(3), _report(2, host="h2")]
        )
        none = await reports.append(connection, [_report(1), _report(3)])
        bodies = await reports.since(connection, "h1", 0.0)

    assert first == {("h1", "s", 1), ("h1", "s", 2)}
    assert again == {("h1", "s", 3), ("h2", "s", 2)}
    assert none == set()
    assert bodies == [b"x", b"x", b"x"]


async def test_a_report_that_breaks_another_rule_is_an_error_not_a_duplicate(
    database: Database,
) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        async with database.write() as connection:
            await reports.append(connection, [ReportRow("h1", "s", 1, 2.0, cast(bytes, None))])


async def test_a_window_is_read_by_time_whatever_order_it_came_in(database: Database) -> None:
    async with database.write() as connection:
        await reports.append(
            connection, [_report(number, body=str(number).encode()) for number in (3, 1, 2, 4)]
        )
        assert await reports.since(connection, "h1", 10.0) == [b"2", b"3", b"4"]
        assert await reports.since(connection, "nobody", 0.0) == []


async def test_pruning_takes_old_reports_in_small_bites(database: Database) -> None:
    async with database.write() as connection:
        await reports.append(connection, [_report(number) for number in range(10)])
        gone = [await reports.prune(connection, 75.0, limit=3) for _ in range(4)]
        left = await connection.scalar(sa.select(sa.func.count()).select_from(schema.reports))

    assert gone == [3, 3, 2, 0]
    assert left == 2
