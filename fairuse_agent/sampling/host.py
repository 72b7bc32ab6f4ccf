"""The host as a whole: what it can deliver, how busy it is, its disks, uplinks and pressure."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from fairuse_agent.sampling import parse
from fairuse_agent.sampling.disks import DiskNames
from fairuse_agent.sampling.netlink import (
    NO_LINK,
    LinkCounters,
    LinkFigures,
    QueueCounters,
    RouteSocket,
    link_figures,
)
from fairuse_agent.sampling.parse import increase
from fairuse_agent.sampling.tenants import waiting_seconds
from fairuse_agent.sampling.uplinks import find_uplinks, link_speed, queue_interfaces
from fairuse_agent.settings import Host
from fairuse_protocol.reports import Capacity, DiskActivity, HostUsage, UplinkActivity

_FLAT_BYTES = 1024
_NO_QUEUE = QueueCounters(0, 0, 0, 0)


class _Processors(NamedTuple):
    """All of them together since boot, and how many are online."""

    busy_seconds: float
    idle_seconds: float
    cores: int


@dataclass(slots=True)
class _Reading:
    """Host counters at one moment."""

    processors: _Processors
    cpu_waiting: int | None = None
    io_waiting: int | None = None
    disks: dict[str, tuple[int, int, int, int, float | None]] = field(default_factory=dict)
    queues: dict[str, QueueCounters] = field(default_factory=dict)


class HostMeter:
    """Reads the host's own counters once a round."""

    def __init__(
        self, settings: Host, *, proc_root: Path, sys_root: Path, is_tenants: Callable[[str], bool]
    ) -> None:
        """`is_tenants` tells tenants' interfaces, which are no uplinks, by name."""
        self._settings = settings
        self._proc_root = proc_root
        self._sys_root = sys_root
        self._is_tenants = is_tenants
        self._pressure = {name: _open_pressure(proc_root, name) for name in ("cpu", "io")}
        self._before: _Reading | None = None
        self.disks = DiskNames(sys_root, settings.disks)
        self.notes: tuple[str, ...] = ()
        self.refresh()

    @property
    def has_psi(self) -> bool:
        """Does the kernel tell pressure at all?"""
        return self._read_pressure("cpu") is not None

    def refresh(self) -> None:
        """Look again at what rarely changes: uplinks, speeds, disks, processors."""
        self.disks.refresh()
        self._uplinks = {
            name: queue_interfaces(self._sys_root, name)
            for name in find_uplinks(
                self._settings.uplinks, self._proc_root, self._sys_root, self._is_tenants
            )
        }
        speeds = [link_speed(self._sys_root, name) for name in self._uplinks]
        known = [speed for speed in speeds if speed is not None]
        together = sum(known) if known and len(known) == len(speeds) else None
        host = self._settings
        self.capacity = Capacity(
            cpu_cores=float(psutil.cpu_count() or 1),
            disk_bytes_per_second=_plain(host.disk_bandwidth),
            disk_operations_per_second=host.disk_operations_per_second,
            net_in_bytes_per_second=_plain(host.net_in) or together,
            net_out_bytes_per_second=_plain(host.net_out) or together,
            net_in_packets_per_second=host.net_in_packets_per_second,
            net_out_packets_per_second=host.net_out_packets_per_second,
        )

    def read(
        self,
        seconds: float,
        links_before: Mapping[int, LinkCounters],
        links: Mapping[int, LinkCounters],
        names: Mapping[int, str],
        route: RouteSocket,
    ) -> HostUsage:
        """What the host did since the last reading, which was `seconds` ago.

        `links_before`, `links` and `names` are the interfaces' counters, then and now, and their
        names, by index.
        """
        notes: list[str] = []
        now = _Reading(
            processors=_read_processors(),
            cpu_waiting=self._read_pressure("cpu"),
            io_waiting=self._read_pressure("io"),
            disks=self._read_disks(),
        )
        by_name = {name: index for index, name in names.items()}
        for queues in self._uplinks.values():
            for name in queues:
                if name in by_name and (found := _queue(route, by_name[name], name, notes)):
                    now.queues[name] = found
        notes.extend(f"uplink {name} is not there" for name in self._uplinks if name not in by_name)
        before, self._before = self._before or now, now
        self.notes = (*self.disks.notes, *notes)
        return HostUsage(
            capacity=self.capacity,
            cpu_busy_seconds=_busy_seconds(before.processors, now.processors, seconds),
            cpu_waiting_seconds=_waited(before.cpu_waiting, now.cpu_waiting, seconds),
            io_waiting_seconds=_waited(before.io_waiting, now.io_waiting, seconds),
            disks=tuple(
                _disk(name, before.disks.get(name, counters), counters)
                for name, counters in now.disks.items()
            ),
            uplinks=tuple(
                _uplink(
                    name,
                    link_figures(links_before.get(by_name[name], NO_LINK)),
                    link_figures(links[by_name[name]]),
                    [_queue_gained(queue, before, now) for queue in queues],
                )
                for name, queues in self._uplinks.items()
                if by_name.get(name) in links
            ),
        )

    def close(self) -> None:
        """Let go of all descriptors."""
        for descriptor in self._pressure.values():
            if descriptor is not None:
                os.close(descriptor)
        self._pressure = dict.fromkeys(self._pressure)

    def _read_pressure(self, name: str) -> int | None:
        descriptor = self._pressure[name]
        if descriptor is None:
            return None
        try:
            return parse.pressure_total(os.pread(descriptor, _FLAT_BYTES, 0))
        except OSError:
            return None  # Built in and switched off (psi=0): EOPNOTSUPP.

    def _read_disks(self) -> dict[str, tuple[int, int, int, int, float | None]]:
        wanted = set(self.disks.reported)
        found = psutil.disk_io_counters(perdisk=True, nowrap=False) if wanted else {}
        return {
            name: (
                io.read_bytes,
                io.write_bytes,
                io.read_count,
                io.write_count,
                io.busy_time / 1000,
            )
            for name, io in found.items()
            if name in wanted
        }


def _read_processors() -> _Processors:
    times = psutil.cpu_times()  # Guests' time is in `user`.
    return _Processors(
        busy_seconds=times.user + times.nice + times.system + times.irq + times.softirq,
        idle_seconds=times.idle + times.iowait,
        cores=psutil.cpu_count() or 1,
    )


def _busy_seconds(before: _Processors, now: _Processors, seconds: float) -> float:
    """Time in which processors were busy, had they had all of the time that passed.

    A host that is itself a guest gets less: some is stolen, or never shows where nobody tells it of
    steal (a tick is lost). What it got is scaled up. Idle time can leap or go back when processors
    go offline, and where that may be, nothing is scaled.
    """
    busy = max(0.0, now.busy_seconds - before.busy_seconds)
    idle = now.idle_seconds - before.idle_seconds
    passed = seconds * now.cores
    if now.cores != before.cores or idle < 0 or not 0 < busy + idle < passed:
        return busy
    return busy / (busy + idle) * passed


def _open_pressure(proc_root: Path, name: str) -> int | None:
    try:
        return os.open(proc_root / "pressure" / name, os.O_RDONLY)
    except OSError:
        return None  # A kernel without PSI.


def _queue(route: RouteSocket, index: int, name: str, notes: list[str]) -> QueueCounters | None:
    """None when it could not be read: to take it for zero would count its whole life next time."""
    try:
        return route.root_queue(index) or _NO_QUEUE
    except OSError as error:
        notes.append(f"the queue of uplink {name} could not be read: {error.strerror or error}")
        return None


def _queue_gained(name: str, before: _Reading, now: _Reading) -> QueueCounters:
    """What waits in the queue now, and what it held back or lost since the last round."""
    counters = now.queues.get(name)
    since = before.queues.get(name)
    if counters is None or since is None:
        return QueueCounters(0 if counters is None else counters.queued_bytes, 0, 0, 0)
    return QueueCounters(
        counters.queued_bytes,
        increase(since.dropped, counters.dropped),
        increase(since.requeued, counters.requeued),
        increase(since.over_limit, counters.over_limit),
    )


def _waited(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None:
        return None
    return waiting_seconds(increase(before, now), seconds)


def _disk(
    name: str,
    before: tuple[int, int, int, int, float | None],
    now: tuple[int, int, int, int, float | None],
) -> DiskActivity:
    busy = None if now[4] is None or before[4] is None else max(0.0, now[4] - before[4])
    return DiskActivity(
        device=name,
        read_bytes=increase(before[0], now[0]),
        written_bytes=increase(before[1], now[1]),
        reads=increase(before[2], now[2]),
        writes=increase(before[3], now[3]),
        busy_seconds=busy,
    )


def _uplink(
    name: str, before: LinkFigures, now: LinkFigures, queues: list[QueueCounters]
) -> UplinkActivity:
    """`queues` is what each of its queues did."""
    dropped = increase(before.out_dropped_packets, now.out_dropped_packets)
    return UplinkActivity(
        interface=name,
        in_bytes=increase(before.in_bytes, now.in_bytes),
        in_packets=increase(before.in_packets, now.in_packets),
        in_dropped_packets=increase(before.in_dropped_packets, now.in_dropped_packets),
        out_bytes=increase(before.out_bytes, now.out_bytes),
        out_packets=increase(before.out_packets, now.out_packets),
        out_dropped_packets=dropped + sum(queue.dropped for queue in queues),
        out_delayed_packets=sum(queue.over_limit + queue.requeued for queue in queues),
        out_queued_bytes=sum(queue.queued_bytes for queue in queues),
    )


def _plain(value: float | None) -> float | None:
    """A Rate as the number that it is, for messages."""
    return None if value is None else float(value)
