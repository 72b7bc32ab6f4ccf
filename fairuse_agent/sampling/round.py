"""One round: everything that a report says about an interval, read from this host's kernel."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairuse_agent.sampling import parse
from fairuse_agent.sampling.hierarchy import Hierarchies, find_hierarchies
from fairuse_agent.sampling.host import HostMeter
from fairuse_agent.sampling.links import Links
from fairuse_agent.sampling.netlink import LinkCounters, RouteSocket
from fairuse_agent.sampling.rundelay import RunDelay
from fairuse_agent.sampling.tenants import Tenants
from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery import TenantCgroups
from fairuse_agent.tenancy.rules import TenantRules
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
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises SettingsError for a rule that cannot be used, NoHierarchyError without cgroups."""
        _raise_descriptor_limit()
        self._monotonic, self._wall = monotonic, wall
        rules = TenantRules(settings)
        self._route = route or RouteSocket()
        self._links = Links(rules)
        self._counters: dict[int, LinkCounters] = {}
        self._hierarchies = find_hierarchies(cgroup_root, proc_root)
        self._cgroups = TenantCgroups(rules, self._hierarchies.walked)
        self._host = HostMeter(
            settings.host,
            proc_root=proc_root,
            sys_root=sys_root,
            is_tenants=lambda name: rules.owner_of_interface(name) is not None,
        )
        run_delay = RunDelay(proc_root, self._hierarchies.walked[0])
        self._source: PressureSource = _pressure_source(self._host, self._hierarchies, run_delay)
        self._tenants = Tenants(
            self._hierarchies,
            psi=self._source == "psi",
            run_delay=run_delay if self._source == "run-delay" else None,
        )
        self._read_at: float | None = None
        self._read_at_wall = 0.0
        self._refreshed_at = monotonic()

    @property
    def capacity(self) -> Capacity:
        """What this host's tenants can use at most, as configured or as the kernel tells."""
        return self._host.capacity

    def read(self) -> Round | None:
        """What happened since the last call; None the first time, which sets the baseline."""
        now, wall = self._monotonic(), self._wall()
        first = self._read_at is None
        seconds = 0.0 if self._read_at is None else now - self._read_at
        started_at = self._read_at_wall
        self._read_at, self._read_at_wall = now, wall
        notes: list[str] = []
        self._refresh_if_due(now, notes)
        links = self._read_links(notes)
        if self._cgroups.refresh() | self._links.update(links.keys()) or first:
            self._arrange(first=first)
        disks_counted = self._disks_counted(notes)
        tenants = self._tenants.usage(
            seconds,
            self._counters,
            links,
            self._host.disks.by_number,
            disks_counted=disks_counted,
        )
        usage = self._host.read(seconds, links, self._links.names, self._route)
        self._counters = links
        if first or seconds <= 0:
            return None
        notes.extend(self._standing_notes())
        return Round(started_at, seconds, usage, tenants, self._source, tuple(notes))

    def places(self) -> tuple[TenantPlace, ...]:
        """All tenants present at the last reading, and where each lives in the kernel."""
        return self._tenants.places(self._links.names)

    def disks(self) -> tuple[str, ...]:
        """The whole disks that are reported, and that disk limits apply to."""
        return self._host.disks.reported

    def close(self) -> None:
        """Let go of all descriptors."""
        self._tenants.close()
        self._host.close()
        self._route.close()

    async def watch_links(self) -> None:
        """Follow the kernel's link events until cancelled, so that rounds need not ask names."""
        while True:
            try:
                await self._links.watch()
            except Exception:
                _log.exception(
                    "link events stopped; interface names are asked in every round until they"
                    " are back, tried again in %g s",
                    _WATCH_AGAIN_SECONDS,
                )
            await asyncio.sleep(_WATCH_AGAIN_SECONDS)
