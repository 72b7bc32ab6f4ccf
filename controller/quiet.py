"""The times at which somebody does not want to be written to about what can wait.

Pure: time is an argument. A quiet time is kept from instant to instant, so that a change of the
clocks neither cuts it short nor splits it: where a wall clock shows its edge twice, or never, the
longer of the two readings counts.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

from holidays import HolidayBase, country_holidays

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

WEEKDAYS: tuple[Weekday, ...] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
LONGEST_QUIET_SECONDS = 14 * 86400.0
"""Nothing is put off for longer, whatever days are quiet: a case would wait for ever."""

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_MIDNIGHT = dt.time(0)
_DAY = dt.timedelta(days=1)

Hours = tuple[dt.time, dt.time]


def parse_hours(text: str) -> Hours | None:
    """ "22:00-07:00" as from and until, which may be on the next day; None if it is not so."""
    match = _HOURS.fullmatch(text)
    if match is None:
        return None
    first, second, third, fourth = (int(part) for part in match.groups())
    start, end = dt.time(first, second), dt.time(third, fourth)
    return None if start == end else (start, end)


@cache
def holidays_of(code: str) -> HolidayBase:
    """The public holidays of a country, "DK", or of a part of one, "DE-BY".

    NotImplementedError where there are none on record.
    """
    country, _, part = code.partition("-")
    return country_holidays(country, subdiv=part or None)


@dataclass(frozen=True)
class QuietTimes:
    """Daily hours, days of the week and public holidays, all in one time zone."""

    zone: ZoneInfo
    hours: Hours | None = None
    days: frozenset[Weekday] = frozenset()
    holidays: str = ""
    """As `holidays_of` takes it; empty: none are kept."""

    def over_at(self, now: float) -> float:
        """When the quiet time that `now` falls into is over; `now` itself if it falls into none.

        Both in seconds since the epoch. Quiet times that touch count as one.
        """
        at, latest = now, now + LONGEST_QUIET_SECONDS
        while at < latest:
            ends = [end for start, end in self._around(at) if start <= at < end]
            if not ends:
                return at
            at = max(ends)
        return latest

    def _around(self, at: float) -> list[tuple[float, float]]:
        """Every quiet time that can hold `at`: those that begin on its day or on the one before."""
        today = dt.datetime.fromtimestamp(at, self.zone).date()
        return [span for day in (today - _DAY, today) for span in self._beginning_on(day)]

    def _beginning_on(self, day: dt.date) -> list[tuple[float, float]]:
        found = []
        if self._is_quiet(day):
            found.append(self._span(day, _MIDNIGHT, day + _DAY, _MIDNIGHT))
        if self.hours is not None:
            start, end = self.hours
            found.append(self._span(day, start, day if start < end else day + _DAY, end))
        return found

    def _is_quiet(self, day: dt.date) -> bool:
        if WEEKDAYS[day.weekday()] in self.days:
            return True
        return bool(self.holidays) and day in holidays_of(self.holidays)

    def _span(
        self, first_day: dt.date, start: dt.time, last_day: dt.date, end: dt.time
    ) -> tuple[float, float]:
        return min(self._readings(first_day, start)), max(self._readings(last_day, end))

    def _readings(self, day: dt.date, time: dt.time) -> tuple[float, float]:
        """The instants that a wall clock's time can mean: one, but for a change of the clocks."""
        meant = dt.datetime.combine(day, time, self.zone)
        return meant.timestamp(), meant.replace(fold=1).timestamp()
