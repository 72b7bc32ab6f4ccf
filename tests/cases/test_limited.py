"""Limited time for accounting: what a host confirmed, cut to the time asked for, counted once."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from controller.cases import suspending
from controller.cases.limited import covered_seconds, intervals, totals
from controller.storage import stood
from controller.storage.stood import StoodRow
from fairuse_protocol.limits import HeldSuspension, LimiterState, SuspendOrder
from tests.cases.world import BUSY, World

ROW = StoodRow(
    id="o1",
    case_id="c1",
    tenant="hog",
    host="h1",
    resource="cpu",
    ordered_by=None,
    confirmed_at=100.0,
    ended_at=200.0,
    lease_until=1000.0,
    document='{"allowance":{"cores":2.5}}',
)
moments = st.integers(0, 60)
spans = st.lists(st.tuples(moments, moments).map(lambda two: (min(two), max(two))), max_size=8)


@given(spans)
def test_no_second_is_counted_twice(given_spans: list[tuple[int, int]]) -> None:
    seconds = {second for start, end in given_spans for second in range(start, end)}
    assert covered_seconds(given_spans) == len(seconds)


@given(start=moments, length=st.integers(1, 60), ended=st.none() | moments, now=moments)
def test_an_interval_never_leaves_the_time_asked_for_nor_its_lease_nor_what_has_passed(
    start: int, length: int, ended: int | None, now: int
) -> None:
    row = dataclasses.replace(ROW, confirmed_at=20.0, ended_at=ended, lease_until=40.0)
    asked = range(start, start + length)
    over = min(40, 40 if ended is None else ended, now)
    expected = [second for second in asked if 20 <= second < over]
    found = intervals([row], start, start + length, now=now)
    assert sum(each.end - each.start for each in found) == len(expected)


def test_limits_of_two_resources_and_hosts_at_a_time_count_once_and_a_suspension_apart() -> None:
    rows = [
        ROW,
        dataclasses.replace(ROW, id="o2", resource="disk", host="h2", confirmed_at=150.0),
        dataclasses.replace(
            ROW, id="s1", resource="suspension", confirmed_at=190.0, ended_at=230.0, document=""
        ),
        dataclasses.replace(ROW, id="o3", tenant="other", confirmed_at=110.0),
    ]
    hog, other = totals(intervals(rows, 0.0, 500.0, now=500.0))
    assert (hog.tenant, hog.limited_seconds, hog.suspended_seconds) == ("hog", 130.0, 40.0)
    assert (other.limited_seconds, other.suspended_seconds) == (90.0, 0.0)


def test_what_stands_still_goes_on_and_what_is_cut_says_so() -> None:
    (standing,) = intervals([dataclasses.replace(ROW, ended_at=None)], 0.0, 900.0, now=300.0)
    assert (standing.start, standing.end, standing.goes_on) == (100.0, 300.0, True)
    (cut,) = intervals([ROW], 150.0, 160.0, now=900.0)
    assert (cut.start, cut.end, cut.goes_on) == (150.0, 160.0, True)
    (whole,) = intervals([ROW], 0.0, 900.0, now=900.0)
    assert not whole.goes_on
    assert whole.allowance is not None
    assert whole.allowance.cores == 2.5


def test_a_limit_that_was_changed_is_told_with_what_it_allowed_when() -> None:
    document = (
        '{"allowance":{"cores":1.5},"earlier":[{"allowance":{"cores":3.5},"until":120.0},'
        '{"allowance":{"cores":2.5},"until":150.0}]}'
    )
    found = intervals([dataclasses.replace(ROW, document=document)], 0.0, 900.0, now=900.0)
    told = [
        (each.start, each.end, each.allowance and each.allowance.cores, each.goes_on)
        for each in found
    ]
    assert told == [
        (100.0, 120.0, 3.5, False),
        (120.0, 150.0, 2.5, False),
        (150.0, 200.0, 1.5, False),
    ]
    (total,) = totals(found)
    assert (total.limited_seconds, total.orders) == (100.0, 1)


async def recorded(world: World) -> list[StoodRow]:
    async with world.database.read() as connection:
        return await stood.between(connection, 0.0, world.now + 1)


async def test_a_limit_counts_from_its_hosts_confirmation_until_it_ended(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.until(lambda case: case.state == "limited")
    assert await recorded(world) == [], "ordered, but no host has said that it stands"
    await world.report(BUSY, limiter=world.holding())
    confirmed_at = world.now
    await world.desk.lift(case.id, by="otto", reason="enough")
    (row,) = await recorded(world)
    assert (row.confirmed_at, row.ended_at, row.ordered_by) == (confirmed_at, world.now, None)
    assert (row.tenant, row.host, row.resource) == ("hog", "h1", "cpu")


async def test_a_suspension_is_on_record_once_its_host_says_that_it_stands(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.suspend(case.id, by="otto", reason="a flood", seconds=300.0)
    assert await recorded(world) == []
    (told,) = world.desk.suspensions_for("h1", world.now)
    await world.report(BUSY, limiter=LimiterState(suspended=(_frozen(told),)))
    confirmed_at = world.now
    await world.report(BUSY, limiter=LimiterState(suspended=(_frozen(told),)))
    await world.desk.thaw(case.id, by="anna", reason="over")
    (row,) = await recorded(world)
    assert (row.resource, row.ordered_by, row.document) == ("suspension", "otto", "")
    assert (row.confirmed_at, row.ended_at) == (confirmed_at, world.now)
    events = [entry.event for entry in await world.desk.timeline(case.id)]
    assert events[-3:] == ["suspended", "suspension-started", "suspension-ended"]


async def test_a_suspension_that_no_host_confirmed_stood_for_no_time(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.suspend(case.id, by="otto", reason="a flood", seconds=300.0)
    await world.pass_time(suspending.MOST_SECONDS)
    assert await recorded(world) == []


def _frozen(told: SuspendOrder) -> HeldSuspension:
    return HeldSuspension(
        order=told.order,
        tenant=told.tenant,
        remaining_seconds=told.remaining_seconds,
        ordered_by=told.ordered_by,
        reason=told.reason,
    )


async def test_what_a_changed_limit_allowed_before_stays_on_record(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    await world.until(lambda case: case.state == "limited")
    case = await world.only_case()
    while case.limit is not None and case.limit.first_allowance is None:
        await world.report(BUSY, limiter=world.holding())
        case = await world.only_case()
    assert case.limit is not None, "it is changed before it ends, as others still wait"
    await world.report(BUSY, limiter=world.holding())
    found = intervals(await recorded(world), 0.0, world.now, now=world.now)
    allowed = [each.allowance.cores for each in found if each.allowance is not None]
    assert allowed[0] == case.limit.first_allowance
    assert allowed[-1] == case.limit.allowance
    assert len(allowed) > 1
