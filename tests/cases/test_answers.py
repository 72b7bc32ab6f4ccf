"""What customers answer to a case, and what an operator makes of it, over a real database."""

from __future__ import annotations

import pytest

from controller.cases.model import AnswerKind
from controller.cases.steps import CaseRefused
from controller.contact import recording
from controller.contact.letters import queued
from controller.storage import notices
from tests.cases.world import CALM, World, kinds_sent, limited


@pytest.mark.parametrize(
    ("kind", "moved_by"), [("acknowledge", 200.0), ("more-time", 360.0), ("solved", 100.0)]
)
async def test_an_answer_moves_the_deadline(
    world: World, kind: AnswerKind, moved_by: float
) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    answered = await world.desk.answer(case.id, kind, "on it")
    assert answered.deadline == pytest.approx(world.now + moved_by)
    with pytest.raises(CaseRefused, match="counts once"):
        await world.desk.answer(case.id, kind, "again")
    await world.reports(int(moved_by / 10) - 1)
    assert (await world.only_case()).state == "notified"
    await world.reports(1)
    assert (await world.only_case()).state == "limited"


async def test_an_answer_given_before_the_acceptance_was_recorded_counts(world: World) -> None:
    await world.reports(10)
    case = await world.only_case()
    await world.desk.answer(case.id, "more-time", "")
    await world.deliver()
    case = await world.only_case()
    assert case.deadline == pytest.approx(world.now + 300)


async def test_solved_and_then_calm_closes_as_resolved(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "solved", "stopped the job")
    await world.reports(20, CALM, waiting=0.0)
    case = await world.only_case()
    assert (case.state, case.closing) == ("closed", "resolved")


async def test_solved_lifts_a_standing_limit_at_once(world: World) -> None:
    await limited(world)
    case = await world.only_case()
    await world.desk.answer(case.id, "solved", "stopped")
    assert world.desk.limits_for("h1", world.now) == ()
    assert (await world.only_case()).state == "notified"
    assert (await kinds_sent(world))[-1] == "limit-ended"


async def test_a_dispute_holds_the_case_for_a_person(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "dispute", "not us")
    await world.reports(30)
    assert (await world.only_case()).state == "held"
    assert await world.stored_orders() == []
    with pytest.raises(CaseRefused, match="person"):
        await world.desk.answer(case.id, "solved", "")


async def test_a_case_whose_notice_reached_nobody_is_written_about_anew_once_released(
    world: World,
) -> None:
    await world.reports(10)
    case = await world.only_case()
    notice = [queued(row) for row in await world.unsettled()]
    await recording.failed(world.desk, notice, "nobody is listed", world.now, ())
    await world.desk.release(case.id, by="otto", reason="a contact is listed now")
    await world.reports(2)
    (anew,) = await world.unsettled()
    assert anew.kind == "first-notice"
    assert anew.id != notice[0].id
    await world.deliver()
    assert (await world.only_case()).state == "notified"


async def test_a_released_dispute_leaves_the_whole_time_to_answer_again(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    allowed = (case.deadline or 0.0) - (case.notice_accepted_at or 0.0)
    await world.desk.answer(case.id, "dispute", "not us")
    await world.pass_time(allowed + 100)
    released = await world.desk.release(case.id, by="otto", reason="it is them, we talked")
    assert released.state == "notified"
    assert released.deadline == pytest.approx(world.now + allowed)
    assert released.reminded_of == released.deadline, "a reminder would come on its heels"
    assert world.desk.limits_for("h1", world.now) == ()
    with pytest.raises(CaseRefused, match="not held"):
        await world.desk.release(case.id, by="otto", reason="again")


async def test_a_dispute_that_was_decided_is_answered_and_bars_no_limit(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "dispute", "not us")
    await world.desk.release(case.id, by="otto", reason="measured again: it is")
    assert (await kinds_sent(world))[-1] == "decision"
    with pytest.raises(CaseRefused, match="looked at this case already"):
        await world.desk.answer(case.id, "dispute", "still not us")
    await world.until(lambda case: case.state == "limited")
    await world.report(limiter=world.holding())
    await world.pass_time(130)
    assert (await world.only_case()).closing == "relieved", "nobody is asked a second time"


async def test_an_answer_that_moves_nothing_tells_of_no_moved_deadline(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "more-time", "")
    moved = await world.only_case()
    await world.desk.answer(case.id, "acknowledge", "")
    assert (await world.only_case()).deadline == moved.deadline
    events = [entry.event for entry in await world.desk.timeline(case.id)]
    assert events.count("deadline-moved") == 1


@pytest.mark.parametrize("ended", ["closed", "held"])
async def test_a_case_that_closes_or_is_held_before_its_notice_is_sent_leaves_none_waiting(
    world: World, ended: str
) -> None:
    await world.reports(10)
    (waiting,) = await world.unsettled()
    async with world.database.write() as connection:
        await notices.put_off(connection, [waiting.id], now=world.now, until=world.now + 9000)
    woken: list[str] = []
    world.desk.when_outbox_changes(lambda: woken.append("now"))
    if ended == "closed":
        await world.desk.dismiss((await world.only_case()).id, by="otto", reason="ours")
    else:
        await world.desk.hold((await world.only_case()).id, by="otto", reason="let me look")
    (waiting,) = await world.unsettled()
    assert waiting.next_try_at == world.now
    assert woken


async def test_a_dispute_under_a_limit_is_decided_by_a_person_after_the_lease(
    world: World,
) -> None:
    await limited(world)
    case = await world.only_case()
    await world.desk.answer(case.id, "dispute", "not us")
    assert len(world.desk.limits_for("h1", world.now)) == 1
    await world.pass_time(130)
    assert (await world.only_case()).state == "held"


async def test_solved_under_a_limit_is_checked_for_its_whole_time(world: World) -> None:
    await limited(world)
    case = await world.only_case()
    solved = await world.desk.answer(case.id, "solved", "stopped")
    assert solved.solved_at is not None
    while world.now < solved.solved_at + 90:
        await world.report(CALM, waiting=0.0)
        assert (await world.only_case()).state == "notified", "it may be calm because of the limit"
    await world.reports(3, CALM, waiting=0.0)
    assert (await world.only_case()).closing == "resolved"
