"""A reminder before the deadline: once, in time, and only where it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cases.lifecycle import skip_time
from controller.cases.limiting import Circumstances
from controller.cases.model import Case, QueueNotice
from controller.cases.reminding import MOST_REMINDERS, due_reminder
from controller.fairshare.policy import Policy, Times
from controller.storage import notices
from fairuse_protocol.units import Duration
from tests.cases.world import DEADLINE, POLICY, World
from tests.contact import samples

ACCEPTED = samples.NOW
REMIND_BEFORE = 1000.0
REMINDING = Policy(times=Times(remind_before=Duration(REMIND_BEFORE)))
NOTIFIED = samples.case(
    state="notified", notice_accepted_at=ACCEPTED, deadline=ACCEPTED + 4 * REMIND_BEFORE
)
VERDICT = samples.verdict(intervals=6)
ENFORCE = Circumstances(mode="enforce")


def due(case: Case, now: float, circumstances: Circumstances = ENFORCE, **verdict: Any) -> Any:
    seen = msgspec.structs.replace(VERDICT, decided_at=now, **verdict)
    return due_reminder(case, seen, REMINDING, circumstances)


@pytest.mark.parametrize(
    ("left", "reminded"),
    [(1001.0, False), (1000.0, True), (250.0, True), (249.0, False), (0.0, False), (-1.0, False)],
)
def test_it_is_due_so_long_before_the_deadline_and_while_there_is_time_to_act(
    left: float, reminded: bool
) -> None:
    done = due(NOTIFIED, ACCEPTED + 4 * REMIND_BEFORE - left)
    assert (done is not None) is reminded


def test_it_is_a_notice_of_its_own_and_moves_nothing() -> None:
    done = due(NOTIFIED, ACCEPTED + 3 * REMIND_BEFORE)
    assert done.actions == (QueueNotice(id=f"{NOTIFIED.id}-3-reminder", kind="reminder"),)
    assert done.case.deadline == NOTIFIED.deadline
    assert done.case.state == "notified"
    (entry,) = done.entries
    assert entry.event == "reminder-queued"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"answers": ("acknowledge",)}, id="acknowledged"),
        pytest.param({"answers": ("solved",)}, id="solved"),
        pytest.param({"state": "held"}, id="held"),
        pytest.param({"state": "limited"}, id="limited"),
        pytest.param({"state": "watching", "notice_accepted_at": None}, id="not-written-to"),
        pytest.param({"deadline": ACCEPTED + 1.9 * REMIND_BEFORE}, id="a-short-deadline"),
        pytest.param({"reminders": MOST_REMINDERS}, id="often-enough"),
        pytest.param({"reminders": 1, "reminded_of": NOTIFIED.deadline}, id="reminded-of-this"),
    ],
)
def test_there_is_none(changes: dict[str, Any]) -> None:
    case = msgspec.structs.replace(NOTIFIED, **changes)
    assert case.deadline is not None
    assert due(NOTIFIED, case.deadline - 900) is not None or case.deadline != NOTIFIED.deadline
    assert due(case, case.deadline - 900) is None


@pytest.mark.parametrize(
    ("circumstances", "verdict"),
    [
        (Circumstances(mode="observe"), {}),
        (Circumstances(mode="enforce", paused=True), {}),
        (ENFORCE, {"outcome": "nobody-harmed"}),
        (ENFORCE, {"outcome": "not-measured"}),
    ],
)
def test_there_is_none_of_what_will_not_come(
    circumstances: Circumstances, verdict: dict[str, Any]
) -> None:
    assert due(NOTIFIED, ACCEPTED + 3 * REMIND_BEFORE, circumstances, **verdict) is None


def test_of_a_deadline_that_moved_it_reminds_anew() -> None:
    now = ACCEPTED + 3 * REMIND_BEFORE
    once = due(NOTIFIED, now).case
    assert due(once, now + 10) is None
    moved = skip_time(once, 5000.0, now=now, because="The host did not report").case
    assert due(moved, now + 10) is None
    assert moved.deadline is not None
    again = due(moved, moved.deadline - REMIND_BEFORE)
    assert again is not None
    assert again.case.reminders == 2


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 2000), st.sampled_from([0.0, 0.0, 0.0, 700.0, 5000.0])), max_size=60
    )
)
def test_however_time_and_deadline_move_there_are_few_and_one_a_deadline(
    steps: list[tuple[float, float]],
) -> None:
    case, now, reminded_of = NOTIFIED, ACCEPTED, []
    for seconds, skipped in steps:
        now += seconds
        if skipped:
            case = skip_time(case, skipped, now=now, because="The host did not report").case
        done = due(case, now)
        if done is not None:
            assert case.deadline is not None
            assert 0.25 * REMIND_BEFORE <= case.deadline - now <= REMIND_BEFORE
            reminded_of.append(case.deadline)
            case = done.case
    assert len(reminded_of) <= MOST_REMINDERS
    assert len(set(reminded_of)) == len(reminded_of)


async def test_a_restart_neither_forgets_nor_repeats_it(tmp_path: Path) -> None:
    """At the desk: the deadline is 60 s, and a limit follows it as ever."""
    times = msgspec.structs.replace(POLICY.times, remind_before=Duration(30))
    world = await World.open(tmp_path, policy=msgspec.structs.replace(POLICY, times=times))
    try:
        await world.reports(10)
        await world.deliver()
        await world.restart()
        await world.reports(4)
        await world.restart()
        await world.reports(1)
        case = await world.until(lambda case: case.state == "limited")
        async with world.database.read() as connection:
            rows = await notices.of_case(connection, case.id)
        assert [row.kind for row in rows] == ["first-notice", "reminder"]
        assert case.notice_accepted_at is not None
        assert rows[1].queued_at == case.notice_accepted_at + DEADLINE - 30
    finally:
        await world.database.close()
