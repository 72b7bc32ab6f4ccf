"""Erasing: nothing said of a tenant is left, not even in the file, and the chain still holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from controller.cases.erasing import Eraser
from controller.cases.model import Case
from controller.cases.requests import Wanted, ask_for_agreement
from controller.cases.steps import CaseRefused
from controller.fairshare.agreement import AgreementTerms
from controller.storage import audit, habits, mails, reports, stood
from controller.storage.audit import Audit
from tests.cases.world import BUSY, POLICY, World
from tests.storage.rows import add_case

TENANT = "web-042-hansen"
HEAVY = {TENANT: 6.0, "a": 0.5, "b": 0.5, "c": 0.5}
SAID = "Vi flytter vores bagværk inden fredag"
YEAR = 365 * 86400.0


def eraser(world: World) -> Eraser:
    return Eraser(world.database, world.desk, lambda: world.now)


async def closed_case(world: World) -> Case:
    """Written to, answered, limited and lifted: everything that a case can leave behind."""
    await world.reports(10, HEAVY)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "acknowledge", SAID)
    wanted = Wanted(ends_at=world.now + 9e4, asked_by="Hanne Hansen", note=SAID)
    await world.desk.carry_out(
        case.id, lambda newest, now: ask_for_agreement(newest, wanted, POLICY, now=now)
    )
    await world.desk.suspend(case.id, by="otto", reason=f"{TENANT} floods", seconds=10)
    await world.pass_time(20)
    await world.desk.approve(case.id, by="otto", reason=f"{TENANT} goes on")
    await world.report(HEAVY, limiter=world.holding())
    case = await world.desk.lift(case.id, by="otto", reason=f"{TENANT} called")
    await world.deliver()
    return case


def _bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.glob("fairuse.db*"))


async def audited(world: World) -> Audit:
    async with world.database.read() as connection:
        return await audit.audit(connection)


async def test_forgetting_a_tenant_leaves_nothing_of_it_in_any_file(
    world: World, tmp_path: Path
) -> None:
    await closed_case(world)
    terms = AgreementTerms(
        tenant=TENANT, kind="exempt", ends_at=world.now + 9e6, agreed_with="Hanne Hansen"
    )
    await world.desk.agreements.record(terms, by="otto")
    assert SAID.encode() in _bytes_of(tmp_path)
    await eraser(world).forget(TENANT, by="otto", reason="the contract is over")
    async with world.database.write() as connection:
        while await reports.prune(connection, world.now + 1):
            pass
    await world.database.drop_old_pages()
    left = _bytes_of(tmp_path)
    for words in (TENANT, "bagværk", "Hanne"):
        assert words.encode() not in left, words
    assert world.desk.agreements.listed(tenant=TENANT, limit=9) == []


async def test_the_chain_holds_after_erasing_and_says_how_many_lines_are_erased(
    world: World,
) -> None:
    case = await closed_case(world)
    before = await audited(world)
    erased = await eraser(world).forget(TENANT, by="otto", reason="the contract is over")
    after = await audited(world)
    assert (erased.cases, after.faults) == (1, [])
    assert (after.lines, after.erased) == (before.lines + 1, before.lines)
    lines = await world.desk.timeline(case.id)
    assert {line.text for line in lines[:-1]} == {""}
    assert (lines[-1].event, lines[-1].actor) == ("erased", "otto")
    assert "the contract is over" in lines[-1].text


async def test_an_erased_case_is_nobodys_and_in_no_list_or_account(world: World) -> None:
    case = await closed_case(world)
    await eraser(world).forget(TENANT, by="otto", reason="over")
    assert await world.desk.cases() == []
    kept = await world.desk.case(case.id)
    assert kept is not None
    assert (kept.tenant, kept.verdict.samples, kept.closing) == ("", (), "relieved")
    async with world.database.read() as connection:
        assert await stood.between(connection, 0.0, world.now) == []
    with pytest.raises(CaseRefused, match="erased already"):
        await eraser(world)._erase(case.id, "otto", "again")


async def test_mail_about_an_erased_case_is_not_kept(world: World) -> None:
    case = await closed_case(world)

    async def taken(name: str) -> bool:
        async with world.database.write() as connection:
            return await mails.take(
                connection, id=name, case_id=case.id, letter=None, received_at=world.now, raw=b"x"
            )

    assert await taken("before")
    await eraser(world).forget(TENANT, by="otto", reason="over")
    with pytest.raises(mails.UnknownReference):
        await taken("after")


async def test_a_host_whose_effect_was_to_be_measured_goes_on_reporting(world: World) -> None:
    await closed_case(world)
    await eraser(world).forget(TENANT, by="otto", reason="over")
    await world.reports(20, {"a": 0.5, "b": 0.5, "c": 0.5})
    assert (await audited(world)).faults == []


async def test_nobody_is_forgotten_while_a_case_is_open_or_a_notice_on_its_way(
    world: World,
) -> None:
    await world.reports(10, HEAVY)
    await world.deliver()
    case = await world.only_case()
    with pytest.raises(CaseRefused, match=f"without an open case, found {case.id}"):
        await eraser(world).forget(TENANT, by="otto", reason="over")
    await world.desk.dismiss(case.id, by="otto", reason="a mistake")
    with pytest.raises(CaseRefused, match="a notice is still on its way"):
        await eraser(world).forget(TENANT, by="otto", reason="over")
    assert (await audited(world)).erased == 0
    await world.deliver()
    await eraser(world).forget(TENANT, by="otto", reason="over")


async def test_cases_are_erased_when_they_have_been_kept_for_long_enough(world: World) -> None:
    await closed_case(world)
    closed_at = world.now
    world.now = closed_at + YEAR
    assert (await eraser(world).erase_old(YEAR, "old")).cases == 0
    world.now += 1
    assert (await eraser(world).erase_old(YEAR, "old")).cases == 1
    assert (await eraser(world).erase_old(YEAR, "old")).cases == 0
    assert (await audited(world)).faults == []


async def test_a_case_that_cannot_be_read_is_left_and_holds_up_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await closed_case(world)
    async with world.database.write() as connection:
        await add_case(
            connection, id="old", tenant="x", state="closed", closed_at=5.0, document="torn"
        )
    world.now += YEAR + 1
    assert (await eraser(world).erase_old(YEAR, "old")).cases == 1
    assert (await eraser(world).erase_old(YEAR, "old")).cases == 0
    assert "case old could not be erased" in caplog.text


async def test_habits_of_a_forgotten_tenant_go_and_its_neighbours_stay(world: World) -> None:
    from controller.fairshare.habit import Habit

    use = (1.0, 0.0, 0.0, 0.0)
    async with world.database.write() as connection:
        learnt = [Habit(name, use, 3600.0, 2, world.now) for name in (TENANT, "a")]
        await habits.replace(connection, "h1", 5, learnt)
    await eraser(world).forget(TENANT, by="otto", reason="over")
    async with world.database.read() as connection:
        assert [habit.tenant for habit in await habits.of_hour(connection, "h1", 5)] == ["a"]


ERASE = "UPDATE case_events SET text = '', salt = x''"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE case_events SET text = 'milder', salt = x'' WHERE id = 1",
        "UPDATE case_events SET text = '' WHERE case_id = 'case2'",
        f"{ERASE}, actor = 'nobody' WHERE id = 2",
        f"{ERASE}, event = 'opened' WHERE id = 2",
        f"{ERASE}, at = 1 WHERE id = 2",
        f"{ERASE}, digest = x'00' WHERE id = 2",
        f"{ERASE}, link = x'00' WHERE id = 2",
        f"{ERASE}, case_id = 'case2' WHERE id = 2",
        f"{ERASE} WHERE case_id = 'case2'",
        f"{ERASE} WHERE event = 'erased'",
        "DELETE FROM case_events WHERE id = 1",
    ],
)
async def test_the_database_lets_a_line_be_erased_with_its_case_and_changed_in_no_other_way(
    world: World, statement: str
) -> None:
    await closed_case(world)
    await eraser(world).forget(TENANT, by="otto", reason="over")
    await world.reports(12, BUSY)
    with pytest.raises(IntegrityError, match="a line of a history is never"):
        async with world.database.write() as connection:
            await connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("tampering", "finding"),
    [
        ("UPDATE case_events SET actor = 'nobody' WHERE id = 2", "erased-changed"),
        ("UPDATE case_events SET at = at + 60 WHERE id = 2", "erased-changed"),
        ("UPDATE case_events SET digest = x'00' WHERE id = 2", "link-broken"),
        ("DELETE FROM case_events WHERE id = 2", "link-broken"),
        ("UPDATE case_events SET text = 'put in later' WHERE id = 2", "line-changed"),
        (f"{ERASE} WHERE case_id = 'case2' AND event = 'opened'", "erased-unrecorded"),
        ("UPDATE case_events SET actor = 'x' WHERE event = 'erased'", "line-changed"),
        (f"{ERASE} WHERE event = 'erased'", "erased-unrecorded"),
    ],
)
async def test_tampering_is_still_found_after_erasing(
    world: World, tampering: str, finding: str
) -> None:
    await closed_case(world)
    await eraser(world).forget(TENANT, by="otto", reason="over")
    await world.reports(12, BUSY)
    assert (await audited(world)).faults == []
    async with world.database.write() as connection:
        for name in ("timeline_only_grows", "timeline_keeps_lines"):
            await connection.exec_driver_sql(f"DROP TRIGGER {name}")
        await connection.exec_driver_sql(tampering)
    assert finding in [fault.finding for fault in (await audited(world)).faults]
