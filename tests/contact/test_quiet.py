"""Quiet times: right to the minute by the reader's clock, whatever their clocks do."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.quiet import LONGEST_QUIET_SECONDS, WEEKDAYS, Hours, QuietTimes, parse_hours
from controller.tenants import TenantContact

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NIGHT = (dt.time(22), dt.time(7))
MINUTE = 60.0

instants = st.integers(1_767_225_600, 1_830_297_600).map(float)
"""2026 and 2027."""
times = st.times(min_value=dt.time(0), max_value=dt.time(23, 59)).map(
    lambda time: time.replace(second=0, microsecond=0)
)
hours = st.none() | st.tuples(times, times).filter(lambda pair: pair[0] != pair[1])
days = st.frozensets(st.sampled_from(WEEKDAYS), max_size=6)
zones = st.sampled_from(
    [
        "UTC",
        "Europe/Copenhagen",
        "America/Santiago",  # changes its clocks at midnight
        "Australia/Lord_Howe",  # by half an hour
        "Asia/Kathmandu",
    ]
).map(ZoneInfo)


def at(text: str, zone: ZoneInfo = COPENHAGEN) -> float:
    """An instant by a wall clock; one that it shows twice is the first."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def shown(instant: float, zone: ZoneInfo = COPENHAGEN) -> str:
    return dt.datetime.fromtimestamp(instant, zone).isoformat(sep=" ", timespec="minutes")[:16]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        pytest.param("2026-11-25 21:59", "2026-11-25 21:59", id="before"),
        pytest.param("2026-11-25 22:00", "2026-11-26 07:00", id="from-its-first-minute"),
        pytest.param("2026-11-26 03:00", "2026-11-26 07:00", id="after-midnight"),
        pytest.param("2026-11-26 07:00", "2026-11-26 07:00", id="not-from-its-last-minute-on"),
        pytest.param("2026-11-27 23:00", "2026-11-30 07:00", id="a-night-before-a-weekend"),
        pytest.param("2026-12-24 23:00", "2026-12-28 07:00", id="christmas-before-a-weekend"),
    ],
)
def test_nights_weekends_and_holidays_join(now: str, until: str) -> None:
    quiet = QuietTimes(COPENHAGEN, NIGHT, frozenset({"saturday", "sunday"}), "DK")
    assert shown(quiet.over_at(at(now))) == until


def test_a_holiday_is_kept_only_where_it_is_one() -> None:
    now = at("2026-06-05 12:00")
    bavaria = QuietTimes(COPENHAGEN, holidays="DE-BY")
    assert bavaria.over_at(now) == now
    corpus_christi = at("2026-06-04 12:00")
    assert shown(bavaria.over_at(corpus_christi)) == "2026-06-05 00:00"
    assert QuietTimes(COPENHAGEN, holidays="DK").over_at(corpus_christi) == corpus_christi


@pytest.mark.parametrize(
    ("quiet_hours", "now", "until", "seconds"),
    [
        pytest.param(NIGHT, "2026-03-28 22:00", "2026-03-29 07:00", 8 * 3600, id="night-of-8h"),
        pytest.param(NIGHT, "2026-10-24 22:00", "2026-10-25 07:00", 10 * 3600, id="night-of-10h"),
        pytest.param(
            (dt.time(22), dt.time(2, 30)),
            "2026-03-28 22:00",
            "2026-03-29 03:30",
            4.5 * 3600,
            id="an-end-that-no-clock-shows",
        ),
        pytest.param(
            (dt.time(22), dt.time(2, 30)),
            "2026-10-24 22:00",
            "2026-10-25 02:30",
            5.5 * 3600,
            id="an-end-shown-twice",
        ),
        pytest.param(
            (dt.time(2, 30), dt.time(5)),
            "2026-10-25 02:30",
            "2026-10-25 05:00",
            3.5 * 3600,
            id="a-start-shown-twice",
        ),
    ],
)
def test_a_change_of_the_clocks_neither_cuts_nor_splits_a_night(
    quiet_hours: Hours, now: str, until: str, seconds: float
) -> None:
    quiet = QuietTimes(COPENHAGEN, quiet_hours)
    end = quiet.over_at(at(now))
    assert shown(end) == until
    assert end - at(now) == seconds


@given(zone=zones, hours=hours, days=days, now=instants, part=st.floats(0, 1))
def test_all_of_the_time_up_to_the_end_is_quiet_and_the_end_is_not(
    zone: ZoneInfo, hours: Hours | None, days: frozenset[str], now: float, part: float
) -> None:
    quiet = QuietTimes(zone, hours, days)  # type: ignore[arg-type]  # of the weekdays above
    end = quiet.over_at(now)
    assert now <= end <= now + LONGEST_QUIET_SECONDS
    if end < now + LONGEST_QUIET_SECONDS:
        assert quiet.over_at(end) == end
    within = now + (end - now) * part
    if within < end < now + LONGEST_QUIET_SECONDS:
        assert quiet.over_at(within) == end


@given(hours=hours, days=days, now=instants)
def test_where_clocks_do_not_change_it_is_what_the_wall_clock_says(
    hours: Hours | None, days: frozenset[str], now: float
) -> None:
    def is_quiet(instant: float) -> bool:
        local = dt.datetime.fromtimestamp(instant, dt.UTC)
        if WEEKDAYS[local.weekday()] in days:
            return True
        if hours is None:
            return False
        start, end = hours
        time = local.time()
        return start <= time < end if start < end else time >= start or time < end

    quiet = QuietTimes(ZoneInfo("UTC"), hours, days)  # type: ignore[arg-type]  # as above
    end = quiet.over_at(now)
    assert is_quiet(now) is (end > now)
    if now < end < now + LONGEST_QUIET_SECONDS:
        assert is_quiet(end - 1)
        assert not is_quiet(end)


def test_days_that_never_end_put_nothing_off_for_ever() -> None:
    every_day = frozenset(WEEKDAYS)
    now = at("2026-11-25 12:00")
    assert QuietTimes(COPENHAGEN, days=every_day).over_at(now) == now + LONGEST_QUIET_SECONDS


@pytest.mark.parametrize(
    "text", ["", "22-7", "22:00", "22:00-22:00", "24:00-07:00", "22:60-07:00", " 22:00-07:00"]
)
def test_hours_that_are_none_are_not_understood(text: str) -> None:
    assert parse_hours(text) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"quiet_hours": "22-7"}, "quiet_hours"),
        ({"quiet_days": WEEKDAYS}, "quiet_days"),
        ({"holidays": "XX"}, "holidays"),
        ({"holidays": "DE-XX"}, "holidays"),
    ],
)
def test_a_contact_with_quiet_times_that_make_no_sense_is_refused(
    given: dict[str, object], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        TenantContact(**given)  # type: ignore[arg-type]  # as a file would have it


def test_a_contact_has_its_quiet_times_by_its_own_clock() -> None:
    contact = TenantContact(
        time_zone="America/New_York", quiet_hours="22:00-07:00", quiet_days=("sunday",)
    )
    now = at("2026-11-25 22:30", ZoneInfo("America/New_York"))
    assert contact.quiet_times().over_at(now) == now + 8.5 * 3600
    assert TenantContact().quiet_times().over_at(now) == now
