"""One round: everything that a report says about an interval, read from this host's kernel."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from fairuse_agent.sampling import parse
from fairuse_agent.sampling.attribution import Attribution
from fairuse_agent.sampling.hierarchy import Hierarchies, find_hierarchies
from fairuse_agent.sampling.host import HostMeter
from fairuse_agent.sampling.ipaccounting import IpAccounting
from fairuse_agent.sampling.netlink import LinkCounters, RouteSocket
from fairuse_agent.sampling.rundelay import RunDelay
from fairuse_agent.sampling.socketuse import read_loopback
from fairuse_agent.sampling.tenants import Tenants
from fairuse_agent.settings import AgentSettings
from fairuse_protocol.limits import TenantPlace
from fairuse_protocol.reports import Capacity, HostUsage, PressureSource, TenantUsage

_log = logging.getLogger(__name__)

_REFRESH_SECONDS = 60.0
"""How often to look again at what rarely changes: uplinks, speeds, disks, absent files."""
_WATCH_AGAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Round:
    """What happened on this host in `seconds` from `started_at` (seconds since the epoch, UTC).

    `notes` are short sentences about what could not be measured.
    """

    started_at: float
    seconds: float
    usage: HostUsage
    tenants: tuple[TenantUsage, ...]
    pressure_source: PressureSource
    notes: tuple[str, ...]


class Sampler:
    """Reads one host. Everything that can be missing on a host is handled and noted."""

    def __init__(
        self,
        settings: AgentSettings,
        *,
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        proc_root: Path = Path("/proc"),
        sys_root: Path = Path("/sys"),
        route: RouteSocket | None = None,
        accounting: IpAccounting | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises SettingsError for a rule that cannot be used, NoHierarchyError without cgroups."""
        _raise_descriptor_limit()
        self._monotonic, self._wall = monotonic, wall
        self._route = route or RouteSocket()
        self._accounting = accounting or IpAccounting()
        self._sys_root = sys_root
        self._counters: dict[int, LinkCounters] = {}
        self._fresh: Set[int] | None = None
        """The interfaces that the last round did read, where it did not read all; else None."""
        self._hierarchies = find_hierarchies(cgroup_root, proc_root)
        self.attribution = Attribution(settings, self._hierarchies, self._route)
        """What is whose, as at the last reading."""
        ownership = self.attribution.ownership
        self._host = HostMeter(
            settings.host,
            proc_root=proc_root,
            sys_root=sys_root,
            is_tenants=lambda name: ownership.owner_of_interface(name) is not None,
        )
        run_delay = RunDelay(proc_root, self._hierarchies.walked[0])
        self._source: PressureSource = _pressure_source(self._host, self._hierarchies, run_delay)
        self._tenants = Tenants(
            self._hierarchies,
            psi=self._source == "psi",
            run_delay=run_delay if self._source == "run-delay" else None,
        )
        self._silent: list[str] = []
        self._read_at: float | None = None
        self._read_at_wall = 0.0
        self._refreshed_at = monotonic()

    @property
    def capacity(self) -> Capacity:
        """What this host's tenants can use at most, as configured or as the kernel tells."""
        return self._host.capacity

    async def prepare(self) -> None:
        """Ask beforehand what cannot be read at once: systemd's counters of those tenants that
        have no interface. Takes a bounded time, and never raises for a bus that does not answer."""
        sockets = self._tenants.sockets
        before = read_loopback(self._sys_root)
        readings = await self._accounting.read(sockets.cgroups)
        after = read_loopback(self._sys_root)
        sockets.take(readings, self._accounting.trouble, before, after)

    def read(self) -> Round | None:
        """What happened since the last call; None the first time, which sets the baseline.

        When it raises, some counters moved on and some did not: the next call begins anew.
        """
        try:
            return self._read()
        except BaseException:
            self._read_at = None
            raise

    def _read(self) -> Round | None:
        now, wall = self._monotonic(), self._wall()
        first = self._read_at is None
        seconds = 0.0 if self._read_at is None else now - self._read_at
        started_at = self._read_at_wall
        self._read_at, self._read_at_wall = now, wall
        notes: list[str] = []
        refreshed = self._refresh_if_due(now, notes)
        links_before, links = self._read_links(notes)
        moved = self.attribution.look(links.keys(), now)
        if moved or first or self._tenants.incomplete:
            found = self.attribution
            self._tenants.arrange(found.cgroups, found.interfaces, first=first)
        if self._silent or refreshed or first:
            # Asked rarely: the kernel adds up all cgroups for the answer.
            self._silent = self._silent_disks()
        tenants = self._tenants.usage(
            now,
            seconds,
            links_before,
            links,
            self._host.disks.by_number,
            disks_counted=len(self._silent) < len(self._host.disks.reported),
        )
        usage = self._host.read(
            seconds, links_before, links, self.attribution.links.names, self._route
        )
        if first or seconds <= 0:
            return None
        notes.extend(self._standing_notes())
        return Round(started_at, seconds, usage, tenants, self._source, tuple(notes))

    def places(self) -> tuple[TenantPlace, ...]:
        """All tenants present at the last reading, and where each lives in the kernel."""
        return self._tenants.places(self.attribution.links.names)

    def disks(self) -> tuple[str, ...]:
        """The whole disks that are reported, and that disk limits apply to."""
        return self._host.disks.reported

    def close(self) -> None:
        """Let go of all descriptors."""
        self._tenants.close()
        self.attribution.close()
        self._host.close()
        self._accounting.close()
        self._route.close()

    async def watch_links(self) -> None:
        """Follow the kernel's link events until cancelled, so that rounds need not ask names."""
        while True:
            try:
                await self.attribution.links.watch()
            except Exception:  # noqa: BLE001 (whatever it was: told, and tried again)
                _log.exception(
                    "link events stopped; interface names are asked in every round until they"
                    " are back, tried again in %g s",
                    _WATCH_AGAIN_SECONDS,
                )
            await asyncio.sleep(_WATCH_AGAIN_SECONDS)

    def _refresh_if_due(self, now: float, notes: list[str]) -> bool:
        if now - self._refreshed_at < _REFRESH_SECONDS:
            return False
        self._refreshed_at = now
        try:
            self._host.refresh()
        except OSError as error:
            notes.append(f"disks and uplinks are as they were: {error}")
        self._tenants.open_missing()
        return True

    def _read_links(
        self, notes: list[str]
    ) -> tuple[Mapping[int, LinkCounters], dict[int, LinkCounters]]:
        """Interface counters to count from, and those of now. The two are the same for an
        interface that was not read in this round or not in the last one: what it gained belongs
        to no single interval."""
        before = previous = self._counters
        fresh = self._fresh
        try:
            links, whole = self._route.link_counters()
        except OSError as error:
            notes.append(f"interface counters could not be read: {error.strerror or error}")
            self._fresh = frozenset()
            return before, before
        if fresh is not None:
            if missed := before.keys() & (links.keys() - fresh):
                notes.append(f"{len(missed)} interfaces count from now: the last round missed them")
            before = {
                index: before[index] if index in fresh else now for index, now in links.items()
            }
        # A list that changed while it was read may lack an interface: it is not new next time.
        self._fresh = None if whole else links.keys()
        self._counters = links if whole else {**previous, **links}
        return (before if whole else {**previous, **before}), self._counters

    def _silent_disks(self) -> list[str]:
        """Disks whose use the kernel does not count by tenant. cgroup v1 counts a disk only once
        some throttle rule has been written for it, which the limiter may do and the agent not."""
        root = self._hierarchies.blkio_v1
        if root is None:
            return []
        try:
            text = (root / "blkio.throttle.io_service_bytes_recursive").read_bytes()
        except OSError:
            return []  # An older kernel, which has no such file in the root and always counts.
        counted = parse.devices_of_v1(text)
        names = self._host.disks.by_number
        return sorted(name for number, name in names.items() if number not in counted)

    def _standing_notes(self) -> list[str]:
        notes = list(self._host.notes)
        if self._silent:
            notes.append(
                f"tenants' use of {', '.join(self._silent)} is not counted: cgroup v1 begins when"
                " a throttle rule is first written for a disk"
            )
        notes.extend(self.attribution.notes())
        if troubles := self._tenants.troubles:
            notes.append(f"{len(troubles)} cgroups could not be read whole, first {troubles[0]}")
        notes.extend(self._tenants.sockets.notes())
        if self._source == "run-delay":
            notes.append(
                "the kernel tells no pressure by cgroup: CPU waiting is the run delay of each"
                " tenant's longest waiting task, I/O waiting is not measured"
            )
        elif self._source == "none":
            notes.append("the kernel tells neither pressure nor run delay: no waiting is measured")
        return notes


def _pressure_source(
    host: HostMeter, hierarchies: Hierarchies, run_delay: RunDelay
) -> PressureSource:
    """PSI by cgroup lives in v2; a host with v1 alone can have it for the whole host at most."""
    if host.has_psi and hierarchies.v2 is not None:
        return "psi"
    return "run-delay" if run_delay.available() else "none"


def _raise_descriptor_limit() -> None:
    """Allow as many open files as this process may have: some six a tenant are needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
