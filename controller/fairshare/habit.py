"""A tenant's habit: what it uses as a rule at an hour of the week, learnt from measured use.

Hours are UTC. Use is in each resource's own unit, in the order of RESOURCES. Pure; the hour under
way is summed up by the column, because every report that comes in passes here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from controller.fairshare.figures import Floats
from controller.fairshare.interval import Interval
from controller.fairshare.measured import ROW, Integers
from fairuse_protocol.messages import RESOURCES, Resource

HOUR_SECONDS = 3600.0
WEEK_SECONDS = 7 * 86400.0
HALF_LIFE_WEEKS = 4.0
"""What was measured so long ago counts half: a month is how soon a habit changes for good."""
LEAST_WEEKS = 2
"""Once is no habit."""
LEAST_SECONDS = 900.0
"""Of an hour, before it says anything of it."""
FORGOTTEN_SECONDS = 12 * WEEK_SECONDS
"""A tenant that was not seen for so long at that hour has no habit there any more."""
_THURSDAY_HOURS = 72
"""The epoch began on a Thursday; weeks here begin on Monday."""


class Habit(NamedTuple):
    """One tenant's use of one host at one hour of the week."""

    tenant: str
    used: tuple[float, ...]
    """The weighted mean of the weeks' averages, in the order of RESOURCES."""
    measured_seconds: float
    """The weight of that mean: measured time, that of former weeks decayed."""
    weeks: int
    """How many were seen."""
    updated_at: float
    """The end of the newest hour that went in; none goes in twice."""

    def usual(self, resource: Resource) -> float | None:
        """What is usual, or None before it can be called so."""
        return self.used[ROW[resource]] if self.weeks >= LEAST_WEEKS else None


class HourUse:
    """What the tenants of one host used in one hour, as far as it was measured."""

    def __init__(self, hour: int) -> None:
        """`hour` counts from the epoch, as `hour_of` gives it."""
        self.hour = hour
        self._places: dict[str, int] = {}
        self._present: tuple[str, ...] = ()
        self._rows: Integers | slice = slice(0)
        self._amounts: Floats = np.zeros((len(RESOURCES), 0))
        self._seconds: Floats = np.zeros(0)

    @property
    def ended_at(self) -> float:
        """Where the hour ends."""
        return (self.hour + 1) * HOUR_SECONDS

    def add(self, interval: Interval) -> None:
        """Take in one more interval of this hour."""
        if interval.tenants != self._present:
            self._make_room(interval.tenants)
        self._amounts[:, self._rows] += interval.used * interval.seconds
        self._seconds[self._rows] += interval.seconds

    def totals(self) -> dict[str, tuple[Floats, float]]:
        """By tenant that was measured for long enough: use x seconds by resource, and seconds."""
        return {
            tenant: (self._amounts[:, row], float(self._seconds[row]))
            for tenant, row in self._places.items()
            if self._seconds[row] >= LEAST_SECONDS
        }

    def _make_room(self, tenants: tuple[str, ...]) -> None:
        for tenant in tenants:
            self._places.setdefault(tenant, len(self._places))
        more = len(self._places) - len(self._seconds)
        self._amounts = np.pad(self._amounts, ((0, 0), (0, more)))
        self._seconds = np.pad(self._seconds, (0, more))
        rows = [self._places[tenant] for tenant in tenants]
        # Mostly the same tenants in the same order: a slice is added to in a third of the time.
        self._rows = slice(len(rows)) if rows == [*range(len(rows))] else np.array(rows, np.int64)
        self._present = tenants


def hour_of(interval: Interval) -> int:
    """The hour that an interval is counted to, from the epoch: the one that its middle lies in."""
    return hour_at(interval.ended_at - interval.seconds / 2)


def hour_at(at: float) -> int:
    """The hour from the epoch that a time lies in."""
    return int(at // HOUR_SECONDS)


def hour_of_week(hour: int) -> int:
    """Of an hour from the epoch: 0 is Monday from midnight to one, UTC, and 167 the last."""
    return (hour + _THURSDAY_HOURS) % 168


def learnt(before: Iterable[Habit], use: HourUse) -> list[Habit]:
    """The habits at an hour of the week with one more such hour taken in, those of `before` kept.

    An hour that has gone in already changes nothing.
    """
    habits = {habit.tenant: habit for habit in before}
    for tenant, (amounts, seconds) in use.totals().items():
        habits[tenant] = _with_hour(habits.get(tenant), tenant, amounts, seconds, use.ended_at)
    return [
        habit for habit in habits.values() if use.ended_at - habit.updated_at <= FORGOTTEN_SECONDS
    ]


def _with_hour(
    before: Habit | None, tenant: str, amounts: Floats, seconds: float, ended_at: float
) -> Habit:
    if before is None:
        return Habit(tenant, tuple((amounts / seconds).tolist()), seconds, 1, ended_at)
    if before.updated_at >= ended_at:
        return before
    weeks_since = (ended_at - before.updated_at) / WEEK_SECONDS
    decayed = before.measured_seconds * 0.5 ** (weeks_since / HALF_LIFE_WEEKS)
    weight = decayed + seconds
    used = (np.array(before.used) * decayed + amounts) / weight
    return Habit(tenant, tuple(used.tolist()), weight, before.weeks + 1, ended_at)
