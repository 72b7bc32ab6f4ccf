"""Network use of tenants that have cgroups and no interface: what their sockets moved, less what
may have been loopback.

The counters of sockets have loopback in them, and a database that a tenant speaks to over it is
no use of the uplink. How much of it is whose nobody tells, but `lo` tells how much there was: no
tenant's part can be more. Taking off all of it from each gives a figure that is never too high:
it is read before and after the units, and the longer stretch counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fairuse_agent.sampling.ipaccounting import IpCounters, unit_of
from fairuse_agent.sampling.parse import increase

_MATERIAL = 0.1
"""Loopback that took this part of all that sockets moved is worth a note."""

NO_TRAFFIC = IpCounters()

Readings = Mapping[str, IpCounters | None]
"""Counters by cgroup; None for a unit without accounting."""


class Loopback(NamedTuple):
    """What went over the loopback interface: as much in as out."""

    moved_bytes: int = 0
    packets: int = 0


def read_loopback(sys_root: Path) -> Loopback:
    """Totals of this network namespace; nothing where there is no loopback interface."""
    counters = sys_root / "class/net/lo/statistics"
    try:
        return Loopback(
            int((counters / "rx_bytes").read_bytes()), int((counters / "rx_packets").read_bytes())
        )
    except OSError:
        return Loopback()


class SocketUse:
    """What the cgroups of each tenant without an interface moved since the last round."""

    def __init__(self) -> None:
        self._cgroups: Mapping[str, Sequence[str]] = {}
        self._before: dict[str, IpCounters] = {}
        self._now: Readings | None = {}
        self._loopback = self._loopback_after = Loopback()
        self._loopback_before: Loopback | None = None
        self._lost_to_loopback = False
        self.trouble = ""
        """Why nothing could be read at the last reading."""

    @property
    def cgroups(self) -> list[str]:
        """The units that have to be read."""
        return [path for paths in self._cgroups.values() for path in paths]

    def arrange(self, cgroups: Mapping[str, Sequence[str]]) -> None:
        """These are the cgroups by tenant now; of them, systemd's units count.

        What is new counts from its first reading on: it may have been there long before it was
        this tenant's, or without an interface.
        """
        self._cgroups = {
            tenant: units
            for tenant, paths in cgroups.items()
            if (units := [path for path in paths if unit_of(path)])
        }
        self._before = {path: self._before[path] for path in self.cgroups if path in self._before}

    def take(
        self, readings: Readings | None, trouble: str, before: Loopback, after: Loopback
    ) -> None:
        """What was read for the round that comes; None when it could not be, and `trouble`. The
        loopback's counters were read before that and after."""
        self._now, self.trouble = readings, trouble
        self._loopback, self._loopback_after = before, after

    def usage(self) -> dict[str, IpCounters]:
        """By tenant, since the last round."""
        if self._now is None:
            self._before = {}  # What is gained until the next reading belongs to no one interval.
            return {}
        since, self._loopback_before = self._loopback_before, self._loopback
        loopback = _spread(since or self._loopback, self._loopback_after)
        used, moved = dict[str, IpCounters](), 0
        for tenant, paths in self._cgroups.items():
            total = NO_TRAFFIC
            for path in paths:
                total = _sum(total, self._gained(path, self._now))
            moved += total.in_bytes + total.out_bytes
            used[tenant] = _less(total, loopback)
        self._lost_to_loopback = loopback.in_bytes + loopback.out_bytes > _MATERIAL * moved > 0
        return used

    def notes(self) -> list[str]:
        """What was not measured, for a person."""
        if self._now is None:
            return [f"network use of tenants without an interface is not measured: {self.trouble}"]
        found = []
        off = [path for path in self.cgroups if self._now.get(path, ()) is None]
        if off:
            found.append(
                f"network use of {len(off)} cgroups is not measured, first {off[0]}: systemd's"
                " IPAccounting is off there; see docs/operations.md"
            )
        if self._lost_to_loopback:
            found.append(
                "network use of tenants without an interface is told low: all that loopback"
                " moved was taken off, as systemd does not tell whose it was"
            )
        return found

    def _gained(self, path: str, readings: Readings) -> IpCounters:
        now = readings.get(path)
        if now is None:
            if path in readings:
                self._before.pop(path, None)
            return NO_TRAFFIC
        before = self._before.get(path)
        self._before[path] = now
        if before is None:
            return NO_TRAFFIC
        started_anew = any(a > b for a, b in zip(before, now, strict=True))
        return now if started_anew else _less(now, before)


def _spread(before: Loopback, now: Loopback) -> IpCounters:
    moved = increase(before.moved_bytes, now.moved_bytes)
    packets = increase(before.packets, now.packets)
    return IpCounters(moved, moved, packets, packets)


def _sum(one: IpCounters, other: IpCounters) -> IpCounters:
    return IpCounters(*(a + b for a, b in zip(one, other, strict=True)))


def _less(one: IpCounters, other: IpCounters) -> IpCounters:
    return IpCounters(*(max(0, a - b) for a, b in zip(one, other, strict=True)))
