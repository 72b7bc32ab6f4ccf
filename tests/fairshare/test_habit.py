"""Clever Cloud 2.2: what could reasonably be expected of a tenant, learnt hour by hour."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.fairshare.habit import (
    FORGOTTEN_SECONDS,
    HALF_LIFE_WEEKS,
    Habit,
    HourUse,
    hour_at,
    hour_of,
    hour_of_week,
    learnt,
)
from tests.fairshare.reports import cpu_report, judged

HOUR = 100_000


def hour(used: dict[str, float], *, week: int = 0, seconds: float = 3600.0) -> HourUse:
    """An hour in which tenants use these cores for as long as was measured."""
    use = HourUse(HOUR + week * 168)
    if used:
        use.add(judged(cpu_report(use.ended_at, used, seconds=seconds)))
    return use


def after(*weeks: float) -> Habit:
    """The habit of a tenant that used so many cores at that hour, week by week."""
    habits: list[Habit] = []
    for week, used in enumerate(weeks):
        habits = learnt(habits, hour({"a": used}, week=week))
    return habits[0]


def test_the_week_begins_on_monday_at_midnight_utc() -> None:
    monday = datetime(2026, 3, 2, 0, 30, tzinfo=UTC).timestamp()
    assert hour_of_week(hour_at(monday)) == 0
    assert hour_of_week(hour_at(monday - 3600)) == 167


def test_an_interval_belongs_to_the_hour_that_its_middle_lies_in() -> None:
    assert hour_of(judged(cpu_report(7204.0, {"a": 1.0}, seconds=10))) == 1
    assert hour_of(judged(cpu_report(7206.0, {"a": 1.0}, seconds=10))) == 2


def test_clever_cloud_2_2_one_week_is_no_habit_and_two_are() -> None:
    assert after(1.0).usual("cpu") is None
    assert after(1.0, 1.0).usual("cpu") == pytest.approx(1.0)


def test_what_was_measured_four_weeks_ago_counts_half() -> None:
    habits = learnt([], hour({"a": 3.0}))
    (habit,) = learnt(habits, hour({"a": 0.0}, week=int(HALF_LIFE_WEEKS)))
    assert habit.usual("cpu") == pytest.approx(1.0)


@given(st.lists(st.floats(0, 8), min_size=2, max_size=30))
def test_a_habit_lies_between_the_least_and_the_most_that_was_used(weeks: list[float]) -> None:
    habit = after(*weeks)
    assert min(weeks) - 1e-6 <= (habit.usual("cpu") or 0.0) <= max(weeks) + 1e-6
    assert habit.weeks == len(weeks)


@given(
    st.lists(st.tuples(st.floats(0, 8), st.floats(300, 3000)), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_an_hour_is_the_same_however_its_reports_come(
    parts: list[tuple[float, float]], random: object
) -> None:
    def summed(parts: list[tuple[float, float]], names: tuple[str, ...]) -> list[Habit]:
        use = HourUse(HOUR)
        for cores, seconds in parts:
            used = {name: cores if name == "a" else 1.0 for name in names}
            use.add(judged(cpu_report(use.ended_at, used, seconds=seconds)))
        return learnt([], use)

    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's own Random
    here, there = summed(parts, ("a", "b")), summed(shuffled, ("b", "a"))
    total = sum(seconds for _, seconds in parts)
    mean = sum(cores * seconds for cores, seconds in parts) / total
    for habits in (here, there):
        by_name = {habit.tenant: habit for habit in habits}
        if total < 900:
            assert by_name == {}
            continue
        assert by_name["a"].used[0] == pytest.approx(mean)
        assert by_name["a"].measured_seconds == pytest.approx(total)
        assert by_name["b"].used[0] == pytest.approx(1.0)


def test_a_tenant_that_comes_or_goes_within_the_hour_weighs_by_its_own_time() -> None:
    use = HourUse(HOUR)
    for names in (("a", "b"), ("b", "c"), ("c",), ("a",)):
        report = cpu_report(use.ended_at, dict.fromkeys(names, 2.0), seconds=600)
        use.add(judged(report))
    habits = {habit.tenant: habit.measured_seconds for habit in learnt([], use)}
    assert habits == {"a": 1200.0, "b": 1200.0, "c": 1200.0}


def test_an_hour_goes_in_once_and_a_quarter_of_one_at_least() -> None:
    habits = learnt([], hour({"a": 1.0}))
    assert learnt(habits, hour({"a": 5.0})) == habits
    assert learnt(habits, hour({"a": 5.0}, week=1, seconds=899.0)) == habits


def test_who_was_not_seen_for_twelve_weeks_has_no_habit_any_more() -> None:
    habits = learnt([], hour({"gone": 1.0, "a": 1.0}))
    weeks = int(FORGOTTEN_SECONDS / (7 * 86400))
    for week in range(1, weeks + 2):
        habits = learnt(habits, hour({"a": 1.0}, week=week))
        assert ("gone" in {habit.tenant for habit in habits}) == (week <= weeks)
