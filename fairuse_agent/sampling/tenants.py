"""What each tenant used between two rounds: its cgroups and interfaces put together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from fairuse_agent.sampling.cgroup import CgroupFiles, CgroupGoneError
from fairuse_agent.sampling.counters import JUST_MADE, Counters, gained, together
from fairuse_agent.sampling.hierarchy import Hierarchies
from fairuse_agent.sampling.ipaccounting import IpCounters
from fairuse_agent.sampling.netlink import NO_LINK, LinkCounters, link_figures
from fairuse_agent.sampling.parse import DiskCounters, increase
from fairuse_agent.sampling.rundelay import RunDelay
from fairuse_agent.sampling.socketuse import NO_TRAFFIC, SocketUse
from fairuse_agent.tenancy.owner import Owner, weight_of
from fairuse_protocol.limits import TenantPlace
from fairuse_protocol.reports import DiskUsage, TenantUsage

_NOTHING = Counters()
_NO_DISKS: tuple[DiskUsage, ...] = ()
UNSEEN_SECONDS = 60.0
"""For about so long, the pressure of a tenant that neither ran nor waited is not read. What did
begin to wait meanwhile is told then, as if it had in that interval; and pressure that is switched
off meanwhile is told as no waiting until then."""


@dataclass(slots=True)
class Tenant:
    """One tenant, all of its cgroups and the indices of its interfaces."""

    name: str
    weight: float
    cgroups: list[CgroupFiles]
    links: list[int]


class Tenants:
    """All tenants present, and the open files of their cgroups."""

    def __init__(self, hierarchies: Hierarchies, *, psi: bool, run_delay: RunDelay | None) -> None:
        """`run_delay` stands in for CPU pressure where the kernel has no PSI."""
        self._hierarchies = hierarchies
        self._psi = psi
        self._run_delay = run_delay
        self._watched: dict[str, CgroupFiles] = {}
        self._by_name: dict[str, Tenant] = {}
        self._by_cgroup: dict[CgroupFiles, str] = {}
        self._by_link: dict[int, str] = {}
        self._still: dict[str, TenantUsage | None] = {}
        """What is reported of a tenant while nothing of it moves; None until that was made."""
        self.sockets = SocketUse()
        """The network's part of those that have no interface."""
        self._most_microseconds = 0.0
        """All the CPU time that there was in the interval."""
        self.incomplete = False
        """A cgroup went, or could not be opened, since the last `arrange`: arrange again."""
        self.troubles: list[str] = []
        """What should have been readable and was not, a sentence a cgroup."""

    def arrange(
        self, cgroups: Mapping[str, Owner], links: Mapping[int, Owner], *, first: bool
    ) -> None:
        """These are the tenants' cgroups and interfaces now.

        What is new was made since the last round, so all of its use counts; but for the `first`
        time, when what was there before is unknown.
        """
        for path in [path for path in self._watched if path not in cgroups]:
            self._forget(path)
        by_name: dict[str, _Parts] = {}
        for path, owner in cgroups.items():
            watched = self._watched.get(path) or self._open(path, None if first else JUST_MADE)
            if watched is not None:
                _parts(by_name, owner).cgroups.append((watched, owner))
        for index, owner in links.items():
            _parts(by_name, owner).links.append((index, owner))
        self._have({name: parts.together(name) for name, parts in by_name.items()})
        self.sockets.arrange(
            {
                name: [watched.path for watched in tenant.cgroups]
                for name, tenant in self._by_name.items()
                if not tenant.links
            }
        )
        self.incomplete = len(self._watched) < len(cgroups)
        self._note_troubles()

    def places(self, link_names: Mapping[int, str]) -> tuple[TenantPlace, ...]:
        """Where every tenant lives in the kernel now."""
        return tuple(
            TenantPlace(
                tenant=tenant.name,
                weight=tenant.weight,
                cgroups=tuple(watched.path for watched in tenant.cgroups),
                interfaces=tuple(link_names[index] for index in tenant.links),
            )
            for tenant in self._by_name.values()
        )

    def open_missing(self) -> None:
        """Try again all files that were absent."""
        for path, watched in list(self._watched.items()):
            try:
                watched.open_missing()
            except CgroupGoneError:  # It could not be opened at first, and went before it could.
                self._forget(path)
                self.incomplete = True
        self._note_troubles()

    def close(self) -> None:
        """Let go of all descriptors."""
        for path in list(self._watched):
            self._forget(path)
        self._have({})

    def usage(
        self,
        now: float,
        seconds: float,
        links_before: Mapping[int, LinkCounters],
        links_now: Mapping[int, LinkCounters],
        disk_names: Mapping[bytes, str],
        *,
        disks_counted: bool,
    ) -> tuple[TenantUsage, ...]:
        """Everybody's use since the last round, which took `seconds` until `now` (of any clock)."""
        self._most_microseconds = seconds * 1e6 * (os.cpu_count() or 1)
        readings = self._read_all(now, disks_counted=disks_counted)
        traffic = self._traffic(links_before, links_now)
        active = {self._by_cgroup[cgroup] for cgroup in readings} | traffic.keys()
        usages = []
        for name, still in self._still.items():
            usage = still
            if usage is None or name in active:
                tenant, through = self._by_name[name], traffic.get(name, NO_TRAFFIC)
                usage = self._usage(tenant, readings, through, seconds, disk_names)
                if name not in active:
                    self._still[name] = usage
            usages.append(usage)
        return tuple(usages)

    def _traffic(
        self, links_before: Mapping[int, LinkCounters], links_now: Mapping[int, LinkCounters]
    ) -> dict[str, IpCounters]:
        """Of those tenants that had any."""
        traffic = {name: used for name, used in self.sockets.usage().items() if used != NO_TRAFFIC}
        for index, counted in links_now.items():
            before = links_before.get(index, NO_LINK)
            if counted != before and (name := self._by_link.get(index)):
                traffic[name] = _with_link(traffic.get(name, NO_TRAFFIC), before, counted)
        return traffic

    def _have(self, by_name: dict[str, Tenant]) -> None:
        """These are the tenants from now on."""
        self._by_name = by_name
        tenants = by_name.values()
        self._by_cgroup = {files: each.name for each in tenants for files in each.cgroups}
        self._by_link = {index: each.name for each in tenants for index in each.links}
        self._still = dict.fromkeys(by_name)

    def _usage(
        self,
        tenant: Tenant,
        readings: Mapping[CgroupFiles, Counters | None],
        traffic: IpCounters,
        seconds: float,
        disk_names: Mapping[bytes, str],
    ) -> TenantUsage:
        total = _NOTHING
        for watched in tenant.cgroups:
            now = readings.get(watched, watched.before)
            more = _NOTHING if now is None else self._gained(watched, now)
            total = more if total is _NOTHING else together(total, more)
        return TenantUsage(
            tenant=tenant.name,
            weight=tenant.weight,
            cpu_seconds=(total.cpu or 0) / 1e6,
            cpu_throttled_seconds=(total.throttled or 0) / 1e6,
            cpu_waiting_seconds=waiting_seconds(total.cpu_waiting, seconds),
            io_waiting_seconds=waiting_seconds(total.io_waiting, seconds),
            disks=_disk_usages(total.disks, disk_names) if total.disks else _NO_DISKS,
            net_in_bytes=traffic.in_bytes,
            net_in_packets=traffic.in_packets,
            net_out_bytes=traffic.out_bytes,
            net_out_packets=traffic.out_packets,
        )

    def _read_all(self, now: float, *, disks_counted: bool) -> dict[CgroupFiles, Counters | None]:
        """Counters of the cgroups that are not known to be still; None: it is gone.

        All are asked before anything is made of the answers: a processor that goes back and forth
        between the kernel's code and ours loads both again and again.
        """
        watched = list(self._watched.values())
        for cgroup in watched:
            cgroup.peek(disks=disks_counted)
        readings: dict[CgroupFiles, Counters | None] = {}
        for cgroup in watched:
            if cgroup.is_still(now):
                continue
            try:
                counters = cgroup.read(now, UNSEEN_SECONDS)
            except CgroupGoneError:
                readings[cgroup] = self._remade(cgroup, now, disks_counted=disks_counted)
                continue
            if self._run_delay is not None:
                waited = self._run_delay.total_microseconds(cgroup.path)
                counters = msgspec.structs.replace(counters, cpu_waiting=waited)
            readings[cgroup] = counters
        return readings

    def _gained(self, watched: CgroupFiles, now: Counters) -> Counters:
        """One cgroup's use since the last round."""
        before, watched.before = watched.before, now
        if before is None or (before is JUST_MADE and (now.cpu or 0) > self._most_microseconds):
            # Unknown, or older than it seemed: renamed, or out of sight until now.
            return _NOTHING
        return gained(before, now)

    def _remade(self, watched: CgroupFiles, now: float, *, disks_counted: bool) -> Counters | None:
        """The cgroup was removed, and its last interval is lost; if another of its name stands
        there, that is a new one."""
        watched.close()
        watched.before = JUST_MADE
        try:
            watched.open_missing()
            watched.peek(disks=disks_counted)
            return watched.read(now, UNSEEN_SECONDS)
        except CgroupGoneError:
            self._forget(watched.path)
            self.incomplete = True
            return None

    def _open(self, path: str, before: Counters | None) -> CgroupFiles | None:
        try:
            watched = CgroupFiles(path, self._hierarchies, psi=self._psi)
        except CgroupGoneError:
            return None
        watched.before = before
        self._watched[path] = watched
        return watched

    def _note_troubles(self) -> None:
        self.troubles = [files.trouble for files in self._watched.values() if files.trouble]

    def _forget(self, path: str) -> None:
        self._watched.pop(path).close()
        if self._run_delay is not None:
            self._run_delay.forget(path)


def _with_link(traffic: IpCounters, before: LinkCounters, now: LinkCounters) -> IpCounters:
    # What the host's end receives is what the tenant sent.
    old, new = link_figures(before), link_figures(now)
    return IpCounters(
        in_bytes=traffic.in_bytes + increase(old.out_bytes, new.out_bytes),
        out_bytes=traffic.out_bytes + increase(old.in_bytes, new.in_bytes),
        in_packets=traffic.in_packets + increase(old.out_packets, new.out_packets),
        out_packets=traffic.out_packets + increase(old.in_packets, new.in_packets),
    )


def waiting_seconds(microseconds: int | None, seconds: float) -> float | None:
    """Waiting as a part of the interval: reading takes a moment, so it could seem longer."""
    if microseconds is None:
        return None
    waited = microseconds / 1e6
    return waited if waited < seconds else seconds


def _disk_usages(
    moved: Mapping[bytes, DiskCounters], names: Mapping[bytes, str]
) -> tuple[DiskUsage, ...]:
    return tuple(
        DiskUsage(
            device=names[device],
            read_bytes=counters[0],
            written_bytes=counters[1],
            reads=counters[2],
            writes=counters[3],
        )
        for device, counters in moved.items()
        if device in names
    )


class _Parts:
    """What belongs to one tenant, each with what it says of the tenant."""

    __slots__ = ("cgroups", "links")

    def __init__(self) -> None:
        self.cgroups: list[tuple[CgroupFiles, Owner]] = []
        self.links: list[tuple[int, Owner]] = []

    def together(self, name: str) -> Tenant:
        weight = weight_of([owner for _, owner in self.cgroups], [owner for _, owner in self.links])
        return Tenant(
            name, weight, [files for files, _ in self.cgroups], [index for index, _ in self.links]
        )


def _parts(by_name: dict[str, _Parts], owner: Owner) -> _Parts:
    parts = by_name.get(owner.tenant)
    if parts is None:
        parts = by_name[owner.tenant] = _Parts()
    return parts
