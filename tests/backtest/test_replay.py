"""A replay tells what would have happened, and when."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.backtest import tables
from controller.backtest.events import Event
from fairuse_protocol.units import Duration
from tests.backtest.recordings import (
    BUSY,
    CALM,
    MINUTE,
    POLICY,
    START,
    Interval,
    busy,
    events_of,
    minutes,
    record,
    record_rows,
    told,
)

HOG_FROM_11_TO_24 = "c" * 10 + "b" * 14 + "c" * 16
WHOLE_STORY = [
    ("case-opened", 13),
    ("notice-sent", 13),
    ("limit-applied", 18),
    ("limit-lifted", 23),
    ("case-closed", 23),
]


def test_a_hog_is_written_to_then_limited_after_the_deadline_until_the_lease_ends(
    tmp_path: Path,
) -> None:
    events = events_of(record(tmp_path, minutes(HOG_FROM_11_TO_24)))
    assert told(events) == WHOLE_STORY
    assert {(event.host, event.tenant, event.resource) for event in events} == {
        ("h1", "hog", "cpu")
    }


def test_a_hog_that_stops_before_the_deadline_is_written_to_and_not_limited(
    tmp_path: Path,
) -> None:
    events = events_of(record(tmp_path, minutes("c" * 10 + "b" * 6 + "c" * 14)))
    assert [name for name, _ in told(events)] == ["case-opened", "notice-sent", "case-closed"]


def test_a_limit_is_lifted_early_when_the_host_has_room_again(tmp_path: Path) -> None:
    longer = msgspec.structs.replace(
        POLICY, limit=msgspec.structs.replace(POLICY.limit, lease=Duration(20 * MINUTE))
    )
    plan = minutes("c" * 10 + "b" * 9 + "c" * 20)
    gone = dict.fromkeys(BUSY, 0.1)
    plan[19:] = [Interval(one.ended_at, gone) for one in plan[19:]]
    events = events_of(record(tmp_path, plan), longer)
    assert told(events)[:3] == WHOLE_STORY[:3]
    assert [name for name, _ in told(events)[3:]] == ["limit-lifted", "case-closed"]
    assert 20 <= told(events)[3][1] <= 25
    assert "has room again" in events[3].reason


def test_a_limit_that_stands_when_the_trace_ends_runs_out_its_lease(tmp_path: Path) -> None:
    events = events_of(record(tmp_path, minutes("c" * 10 + "b" * 9)))
    assert told(events) == WHOLE_STORY


def test_a_short_burst_and_a_calm_host_bring_nothing_about(tmp_path: Path) -> None:
    assert events_of(record(tmp_path, minutes("c" * 10 + "bb" + "c" * 20))) == []


def test_nobody_is_bothered_while_no_neighbour_waits(tmp_path: Path) -> None:
    alone = [Interval(one.ended_at, BUSY, 0.0) for one in minutes("c" * 30)]
    assert events_of(record(tmp_path, alone)) == []


def test_the_ratio_is_the_mean_over_the_window(tmp_path: Path) -> None:
    events = events_of(record(tmp_path, minutes(HOG_FROM_11_TO_24)))
    fair_share = 2.0
    assert events[0].ratio == pytest.approx((3 * BUSY["hog"] + 2 * CALM["hog"]) / 5 / fair_share)
    assert events[2].ratio == pytest.approx(BUSY["hog"] / fair_share)


def test_every_event_is_a_line_of_the_format(tmp_path: Path) -> None:
    for event in events_of(record(tmp_path, minutes(HOG_FROM_11_TO_24))):
        line = msgspec.json.encode(event)
        fields = msgspec.json.decode(line)
        assert list(fields) == [
            "time", "host", "tenant", "resource", "event", "ratio", "reason",
        ]  # fmt: skip
        assert isinstance(fields["time"], int)
        assert fields["reason"]
        assert msgspec.json.decode(line, type=Event) == event


def two_hosts() -> list[Interval]:
    """One hog early and one late, with a minute missing and a tenant that leaves."""
    second = minutes("c" * 14 + "b" * 5 + "." + "b" * 6 + "c" * 14, host="h2")
    second[20] = Interval(second[20].ended_at, {"hog": 7.0, "a": 0.5}, 0.4, host="h2")
    both = minutes(HOG_FROM_11_TO_24) + second
    return sorted(both, key=lambda one: (one.ended_at, one.host))


@pytest.mark.parametrize("block_bytes", [300, 1000, 3333, 10_000])
def test_the_outcome_does_not_depend_on_how_samples_were_batched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    directory = record(tmp_path, two_hosts())
    whole = events_of(directory)
    monkeypatch.setattr(tables, "_CSV_BLOCK_BYTES", block_bytes)
    assert len(whole) == 10
    assert events_of(directory) == whole


@pytest.mark.parametrize("block_bytes", [300, 10_000_000])
def test_hosts_without_tenants_are_nobodys_business_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    times = {one.ended_at for one in two_hosts()}
    empty = [Interval(at, {}, host=host) for host in ("h0", "h9") for at in times]
    before = [Interval(START - (20 - at) * MINUTE, {}, host="h1") for at in range(20)]
    alone = events_of(record(tmp_path / "alone", two_hosts()))
    every = sorted([*before, *empty, *two_hosts()], key=lambda one: (one.ended_at, one.host))
    monkeypatch.setattr(tables, "_CSV_BLOCK_BYTES", block_bytes)
    assert events_of(record(tmp_path / "with", every)) == alone


def test_a_fleet_without_tenants_brings_nothing_about(tmp_path: Path) -> None:
    calm = [Interval(START + at * MINUTE, {}, host=f"h{at % 3}") for at in range(9)]
    assert events_of(record(tmp_path, calm)) == []


def shuffled(
    rows: list[dict[str, object]], seed: int, key: Callable[..., object]
) -> list[dict[str, object]]:
    """In order of `key`, and at random where that is the same."""
    order = random.Random(seed)
    return sorted(rows, key=lambda row: (key(row), order.random()))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_the_outcome_does_not_depend_on_the_order_of_tenants(tmp_path: Path, seed: int) -> None:
    rows = [row for one in two_hosts() for row in one.rows()]
    expected = events_of(record_rows(tmp_path, rows))
    mixed = shuffled(rows, seed, key=lambda row: row["time"])
    assert events_of(record_rows(tmp_path, mixed)) == expected


def test_each_host_fares_the_same_in_a_file_in_order_of_hosts(tmp_path: Path) -> None:
    rows = [row for one in two_hosts() for row in one.rows()]
    by_time = events_of(record_rows(tmp_path, rows))
    by_host = events_of(
        record_rows(tmp_path, sorted(rows, key=lambda row: (row["host"], row["time"])))
    )
    for host in ("h1", "h2"):
        assert [one for one in by_host if one.host == host] == [
            one for one in by_time if one.host == host
        ]
    assert [event.time for event in by_host] == sorted(event.time for event in by_host)


def test_missing_intervals_are_never_zero_usage(tmp_path: Path) -> None:
    """With a third of them missing the hog is found as it was, with the same ratio."""
    events = events_of(record(tmp_path, minutes("c" * 10 + "b.bb.b" * 3 + "c" * 10)))
    assert [name for name, _ in told(events)[:3]] == [name for name, _ in WHOLE_STORY[:3]]
    limited = next(event for event in events if event.event == "limit-applied")
    assert limited.ratio == pytest.approx(BUSY["hog"] / 2.0)


def test_a_window_of_which_less_than_half_was_measured_accuses_nobody(tmp_path: Path) -> None:
    assert events_of(record(tmp_path, minutes("c" * 10 + "b..." * 6))) == []


def test_a_tenant_that_was_not_measured_did_not_subside(tmp_path: Path) -> None:
    plan = minutes(HOG_FROM_11_TO_24)
    without = {tenant: cores for tenant, cores in BUSY.items() if tenant != "b"}
    plan[12] = Interval(plan[12].ended_at, without, 0.4)
    events = events_of(record(tmp_path, plan))
    assert [name for name, _ in told(events)] == [name for name, _ in WHOLE_STORY]


def test_time_in_which_a_host_was_silent_moves_the_deadline(tmp_path: Path) -> None:
    silent = "c" * 10 + "b" * 4 + "..." + "b" * 10 + "c" * 10
    events = events_of(record(tmp_path, minutes(silent)))
    assert told(events)[:3] == [("case-opened", 13), ("notice-sent", 13), ("limit-applied", 21)]


def test_a_host_of_unknown_capacity_is_judged_on_pressure_alone(tmp_path: Path) -> None:
    plan = minutes(HOG_FROM_11_TO_24)
    pressed = events_of(record(tmp_path, plan, cores=None))
    assert [name for name, _ in told(pressed)] == [name for name, _ in WHOLE_STORY]
    easy = [Interval(one.ended_at, one.used, 0.0) for one in plan]
    assert events_of(record(tmp_path, easy, cores=None)) == []


def test_intervals_count_by_their_length(tmp_path: Path) -> None:
    """A busy one of three minutes outweighs four calm ones of half a minute, not the reverse."""
    calm_first = [Interval(START + 30 * n, seconds=30) for n in range(1, 25)]
    long_busy = busy(calm_first[-1].ended_at + 180, seconds=180)
    assert [name for name, _ in told(events_of(record(tmp_path, [*calm_first, long_busy])))] == [
        "case-opened",
        "notice-sent",
    ]
    short_busy = [busy(START + 30 * n, seconds=30) for n in range(25, 29)]
    long_calm = Interval(short_busy[-1].ended_at + 180, seconds=180)
    assert events_of(record(tmp_path, [*calm_first, *short_busy, long_calm])) == []


@pytest.mark.parametrize("seconds", [20, 30, 60])
def test_the_same_use_is_judged_the_same_at_any_interval(tmp_path: Path, seconds: int) -> None:
    intervals = [
        busy(at, seconds=seconds) if 600 < at - START <= 1440 else Interval(at, seconds=seconds)
        for at in range(START + seconds, START + 2400, seconds)
    ]
    assert told(events_of(record(tmp_path, intervals))) == WHOLE_STORY


def test_no_more_limits_stand_at_a_time_than_the_policy_allows(tmp_path: Path) -> None:
    both = minutes(HOG_FROM_11_TO_24) + minutes(HOG_FROM_11_TO_24, host="h2")
    both.sort(key=lambda one: (one.ended_at, one.host))
    one_at_a_time = msgspec.structs.replace(
        POLICY, limit=msgspec.structs.replace(POLICY.limit, max_limits=1)
    )
    events = events_of(record(tmp_path, both), one_at_a_time)
    standing = 0
    for event in events:
        standing += {"limit-applied": 1, "limit-lifted": -1}.get(event.event, 0)
        assert 0 <= standing <= 1
    assert len({event.host for event in events}) == 2


def test_a_second_case_rests_on_nothing_that_the_first_one_was_about(tmp_path: Path) -> None:
    events = events_of(record(tmp_path, minutes("c" * 10 + "b" * 30 + "c" * 10)))
    opened = [event.time for event in events if event.event == "case-opened"]
    closed = [event.time for event in events if event.event == "case-closed"]
    assert len(opened) > 1
    for again, before in zip(opened[1:], closed, strict=False):
        assert again - before >= POLICY.rule.window * POLICY.rule.measured_share
    assert opened[1] - closed[0] == 3 * MINUTE
