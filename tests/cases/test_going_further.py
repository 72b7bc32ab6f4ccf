"""A host's ring goes on to enforce while cases there are open, whose customers were told that
nothing is limited automatically."""

from __future__ import annotations

import pytest

from controller.settings import Mode
from tests.cases.world import CALM, DEADLINE, World, kinds_sent


async def told_of_no_limit(world: World) -> None:
    """A customer was written to at "contact", long enough ago."""
    await world.restart("contact")
    await world.reports(10)
    await world.deliver()
    await world.reports(20)
    assert (await world.only_case()).no_limit == "promised"


async def test_they_are_written_to_anew_and_have_the_whole_time_before_a_limit(
    world: World,
) -> None:
    await told_of_no_limit(world)
    await world.restart("enforce")
    await world.report()
    case = await world.only_case()
    assert (case.state, case.no_limit, case.deadline) == ("watching", "withdrawn", None)
    await world.reports(20)
    assert await world.stored_orders() == [], "nothing before the new letter is accepted"
    await world.deliver()
    accepted_at = world.now
    assert len(set(world.mailbox)) == 2
    case = await world.until(lambda case: case.state == "limited")
    (order,) = await world.stored_orders()
    assert order.notice_id == case.notice == world.mailbox[1]
    assert order.issued_at >= accepted_at + DEADLINE


async def test_they_are_written_to_once(world: World) -> None:
    await told_of_no_limit(world)
    await world.restart("enforce")
    for _ in range(4):
        await world.report()
        await world.deliver()
    assert await kinds_sent(world) == ["first-notice", "first-notice"]


async def test_who_calmed_down_meanwhile_is_not_written_to_anew(world: World) -> None:
    await told_of_no_limit(world)
    await world.restart("enforce")
    await world.reports(20, CALM, waiting=0.0)
    await world.deliver()
    assert await kinds_sent(world) == ["first-notice", "closed"]


async def test_who_calms_down_before_the_new_letter_is_accepted_is_told_of_the_end(
    world: World,
) -> None:
    await told_of_no_limit(world)
    await world.restart("enforce")
    await world.report()
    await world.reports(20, CALM, waiting=0.0)
    assert (await world.only_case()).state == "closed"
    assert (await kinds_sent(world))[-1] == "closed"


@pytest.mark.parametrize("mode", ["contact", "enforce"])
async def test_where_the_mode_stays_nobody_is_written_to_anew(world: World, mode: Mode) -> None:
    await world.restart(mode)
    await world.reports(10)
    await world.deliver()
    await world.reports(4)
    await world.restart()
    await world.reports(2)
    assert await kinds_sent(world) == ["first-notice"]


async def test_a_time_that_was_granted_still_holds(world: World) -> None:
    await told_of_no_limit(world)
    case = await world.only_case()
    await world.desk.answer(case.id, "more-time", "")
    granted = (await world.only_case()).deadline
    assert granted is not None
    await world.restart("enforce")
    await world.report()
    await world.deliver()
    assert (await world.only_case()).deadline == granted
