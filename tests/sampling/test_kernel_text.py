"""Good, broken and strange contents of the kernel's files, and the arithmetic of counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_agent.sampling import parse
from fairuse_agent.sampling.counters import JUST_MADE, Counters, gained, together

CPU_STAT = b"usage_usec 120\nuser_usec 100\nsystem_usec 20\nnr_throttled 2\nthrottled_usec 77\n"
PRESSURE = (
    b"some avg10=0.00 avg60=0.07 avg300=0.02 total=1510150\n"
    b"full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
)
SERVICE_BYTES = (
    b"8:0 Read 4096\n8:0 Write 512\n8:0 Sync 4608\n8:0 Total 4608\n"
    b"254:16 Read 1\n254:16 Write 2\nTotal 4611\n"
)


def test_fields_of_cpu_stat_are_found_wherever_they_stand() -> None:
    assert parse.field(CPU_STAT, parse.USAGE) == 120
    assert parse.field(CPU_STAT, parse.THROTTLED) == 77
    assert parse.field(b"nr_periods 1\nthrottled_time 5000\n", parse.THROTTLED_V1) == 5000


@pytest.mark.parametrize("text", [b"", b"usage_usec", b"usage_usec max\n", b"usage_usec 12", b"x"])
def test_a_missing_or_broken_field_is_not_measured(text: bytes) -> None:
    assert parse.field(text, parse.USAGE) is None


def test_pressure_is_the_total_of_some() -> None:
    assert parse.pressure_total(PRESSURE) == 1510150


@pytest.mark.parametrize(
    "text", [b"", b"some avg10=0.00\n", b"some total=12", b"some total=x\n", b"\nfull total=3\n"]
)
def test_a_broken_pressure_file_is_not_measured(text: bytes) -> None:
    assert parse.pressure_total(text) is None


def test_io_stat_gives_each_disk_and_ignores_what_it_does_not_know() -> None:
    text = (
        b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n"
        b"8:16\n8:32 \n253:0 rbytes=9\n254:0 rbytes=max wbytes=1 rios=1 wios=1\nnonsense\n"
        b"259:0 rbytes=5 wbytes=6 rios=7 wios=8\n"
    )
    assert parse.io_stat(text) == {b"8:0": (1, 2, 3, 4), b"259:0": (5, 6, 7, 8)}


def test_v1_disk_files_are_put_together() -> None:
    serviced = b"8:0 Read 3\n8:0 Write 4\nTotal 7\n"
    assert parse.disks_of_v1(SERVICE_BYTES, serviced) == {
        b"8:0": (4096, 512, 3, 4),
        b"254:16": (1, 2, 0, 0),
    }
    assert parse.devices_of_v1(SERVICE_BYTES) == {b"8:0", b"254:16"}


@pytest.mark.parametrize(
    "text", [b"", b"Total 0\n", b"8:0 Read max\n8:0 Write 1\n", b"8:0 Read 1\n8:1 Write 1\n"]
)
def test_a_v1_disk_without_figures_is_left_out(text: bytes) -> None:
    assert parse.disks_of_v1(text, text) == {}


counts = st.integers(min_value=0, max_value=2**64 - 1)


@given(counts, counts)
def test_a_counter_never_gains_less_than_nothing_nor_more_than_it_shows(
    before: int, now: int
) -> None:
    assert 0 <= parse.increase(before, now) <= now


@given(counts, counts)
def test_a_counter_that_only_grew_gained_the_difference(before: int, more: int) -> None:
    assert parse.increase(before, before + more) == more


figures = st.none() | counts
disks = st.none() | st.dictionaries(
    st.sampled_from([b"8:0", b"8:16", b"254:0"]), st.tuples(counts, counts, counts, counts)
)
readings = st.builds(Counters, figures, figures, figures, figures, disks)


@given(readings)
def test_all_of_a_new_cgroups_use_is_gained(now: Counters) -> None:
    since = gained(JUST_MADE, now)
    assert (since.cpu, since.throttled) == (now.cpu, now.throttled)
    assert (since.cpu_waiting, since.io_waiting) == (now.cpu_waiting, now.io_waiting)
    moved = {name: disk for name, disk in (now.disks or {}).items() if any(disk)}
    assert since.disks == (None if now.disks is None else moved)


@given(readings, readings)
def test_what_was_not_measured_in_either_reading_is_not_measured(
    before: Counters, now: Counters
) -> None:
    since = gained(before, now)
    for name in ("cpu", "throttled", "cpu_waiting", "io_waiting", "disks"):
        missing = getattr(before, name) is None or getattr(now, name) is None
        assert (getattr(since, name) is None) is missing


@given(readings)
def test_nothing_is_gained_between_equal_readings(reading: Counters) -> None:
    since = gained(reading, reading)
    assert not since.cpu
    assert not since.cpu_waiting
    assert not since.disks


@given(readings, readings)
def test_cgroups_of_one_tenant_add_their_use_and_share_the_longest_wait(
    one: Counters, other: Counters
) -> None:
    both = together(one, other)
    assert (both.cpu or 0) == (one.cpu or 0) + (other.cpu or 0)
    assert (both.cpu_waiting or 0) == max(one.cpu_waiting or 0, other.cpu_waiting or 0)
    for name in {*(one.disks or {}), *(other.disks or {})}:
        parts = [(part.disks or {}).get(name, (0, 0, 0, 0)) for part in (one, other)]
        assert (both.disks or {})[name] == tuple(map(sum, zip(*parts, strict=True)))
    assert both == together(other, one)
