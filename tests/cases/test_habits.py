"""Clever Cloud 2.2: a tenant's habit, learnt over weeks, is evidence in its case."""

from __future__ import annotations

import pytest

from controller.fairshare.habit import Habit
from controller.fairshare.policy import kept_rule
from controller.fairshare.rule import decide
from controller.storage import habits
from tests.cases.world import BUSY, CALM, World

WEEK = 7 * 86400.0
HOUR_BEGINS = 3600.0 * 300


async def hour_passes(world: World, used: dict[str, float], *, week: int) -> None:
    """The same hour of that week, measured in full; the next hour's first report ends it."""
    world.now = HOUR_BEGINS + week * WEEK
    await world.reports(6, used, seconds=600.0, waiting=0.0)
    await world.report(used, waiting=0.0)
    await world.desk.tick()


async def case_at_that_hour(world: World, *, week: int) -> None:
    world.now = HOUR_BEGINS + week * WEEK
    await world.reports(10, BUSY)


async def stored(world: World) -> list[Habit]:
    async with world.database.read() as connection:
        return [
            habit for hour in range(168) for habit in await habits.of_hour(connection, "h1", hour)
        ]


async def test_clever_cloud_2_2_a_habit_learnt_over_weeks_is_kept_as_evidence(
    world: World,
) -> None:
    await hour_passes(world, CALM, week=0)
    await hour_passes(world, CALM, week=1)
    await case_at_that_hour(world, week=2)
    case = await world.only_case()
    assert case.verdict.usual_used == pytest.approx(0.5)
    again = decide(
        case.verdict.samples,
        case.resource,
        kept_rule(case.rule),
        now=case.verdict.decided_at,
        usual_used=case.verdict.usual_used,
    )
    assert again == case.verdict, "promise 9"


async def test_clever_cloud_2_2_a_tenant_seen_in_one_week_only_has_no_habit_yet(
    world: World,
) -> None:
    await hour_passes(world, CALM, week=0)
    await case_at_that_hour(world, week=1)
    assert (await world.only_case()).verdict.usual_used is None


async def test_a_habit_outlives_the_controller_and_the_hour_under_way_does_not(
    world: World,
) -> None:
    await hour_passes(world, CALM, week=0)
    await hour_passes(world, CALM, week=1)
    before = await stored(world)
    world.now = HOUR_BEGINS + 2 * WEEK
    await world.reports(1, BUSY, seconds=3000.0, waiting=0.0)
    await world.restart()
    world.now = HOUR_BEGINS + 2 * WEEK + 3600
    await world.report(CALM, waiting=0.0)
    await world.desk.tick()
    assert await stored(world) == before
    await case_at_that_hour(world, week=3)
    assert (await world.desk.cases())[0].verdict.usual_used == pytest.approx(0.5)


async def test_an_hour_is_stored_once_however_often_the_clock_ticks(world: World) -> None:
    await hour_passes(world, CALM, week=0)
    once = await stored(world)
    assert [habit.weeks for habit in once] == [1, 1, 1, 1]
    for _ in range(3):
        await world.desk.tick()
    assert await stored(world) == once


async def test_an_hour_that_could_not_be_stored_is_stored_with_the_next_tick(
    world: World,
) -> None:
    world.faulty.fail = OSError("the disk is full")
    with pytest.raises(OSError, match="full"):
        await hour_passes(world, CALM, week=0)
    world.faulty.fail = None
    assert await stored(world) == []
    await world.desk.tick()
    assert len(await stored(world)) == 4


async def test_a_report_that_comes_after_its_hour_was_closed_changes_nothing(
    world: World,
) -> None:
    await hour_passes(world, CALM, week=0)
    once = await stored(world)
    world.now = HOUR_BEGINS
    await world.report(BUSY, seconds=1800.0, waiting=0.0)
    await hour_passes(world, CALM, week=1)
    assert {habit.measured_seconds for habit in once} == {3600.0}
    assert {round(habit.used[0], 6) for habit in await stored(world)} == {0.5}
