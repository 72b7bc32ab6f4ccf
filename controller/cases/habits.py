"""Habits as they are learnt and asked for: the hour under way in memory, the past in the store.

An hour goes into the store once, after it has ended. What was summed up of the hour under way is
lost when the controller ends; the rest of that hour then weighs by the time that it was measured.
"""

from __future__ import annotations

from controller.fairshare.habit import Habit, HourUse, hour_at, hour_of, hour_of_week, learnt
from controller.fairshare.interval import Interval
from controller.storage import habits
from controller.storage.database import Database
from fairuse_protocol.messages import Resource

_FLUSHED_AT_A_TIME = 20
"""Hosts. All hours end at once; reports that come in meanwhile wait for one transaction at most."""


class HabitBook:
    """What tenants use as a rule at an hour of the week, on each host."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._under_way: dict[str, HourUse] = {}
        self._ended: list[tuple[str, HourUse]] = []
        self._asked: dict[str, tuple[int, dict[str, Habit]]] = {}
        """By host: the hour that was asked for last, and the habits at such an hour."""

    def take(self, host: str, interval: Interval) -> None:
        """Take in an interval that is stored. One of an hour that is over comes too late."""
        hour, use = hour_of(interval), self._under_way.get(host)
        if use is None or hour > use.hour:
            if use is not None:
                self._ended.append((host, use))
            use = self._under_way[host] = HourUse(hour)
        if hour == use.hour:
            use.add(interval)

    async def flush(self) -> None:
        """Store the hours that have ended, of a few hosts at a time."""
        ended = self._ended[:_FLUSHED_AT_A_TIME]
        telling = [(host, use) for host, use in ended if use.totals()]
        if telling:
            async with self._database.write() as connection:
                for host, use in telling:
                    hour = hour_of_week(use.hour)
                    before = await habits.of_hour(connection, host, hour)
                    await habits.replace(connection, host, hour, learnt(before, use))
        del self._ended[: len(ended)]

    async def usual(self, host: str, tenant: str, resource: Resource, *, at: float) -> float | None:
        """What the tenant uses as a rule at this hour of the week, in the resource's own unit.

        None until such an hour was seen in two weeks. The hour under way is not in it.
        """
        hour = hour_at(at)
        asked = self._asked.get(host)
        if asked is None or asked[0] != hour:
            async with self._database.read() as connection:
                found = await habits.of_hour(connection, host, hour_of_week(hour))
            asked = self._asked[host] = hour, {habit.tenant: habit for habit in found}
        habit = asked[1].get(tenant)
        return None if habit is None else habit.usual(resource)
