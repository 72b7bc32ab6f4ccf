"""What each tenant used between two rounds: its cgroups and interfaces put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairuse_agent.sampling.cgroup import CgroupFiles, CgroupGoneError, Counters
from fairuse_agent.sampling.hierarchy import Hierarchies
from fairuse_agent.sampling.netlink import LinkCounters
from fairuse_agent.sampling.parse import DiskCounters, increase
from fairuse_agent.sampling.rundelay import RunDelay
from fairuse_agent.tenancy.rules import Owner
from fairuse_protocol.reports import DiskUsage, TenantUsage

_NO_LINK: LinkCounters = (0, 0, 0, 0, 0, 0, 0, 0)
_NO_DISK: DiskCounters = (0, 0, 0, 0)


def _just_made() -> Counters:
    """What a cgroup's counters were before the interval in which it was made."""
    return Counters(0, 0, 0, 0, {})


@dataclass(slots=True)
class WatchedCgroup:
    """A cgroup's files and what they said in the last round."""

    files: CgroupFiles
    before: Counters | None


@dataclass(slots=True)
class Tenant:
    """One tenant, all of its cgroups and the indices of its interfaces."""

    owner: Owner
    cgroups: list[WatchedCgroup]
    links: list[int]


class Tenants:
    """All tenants present, and the open files of their cgroups."""

    def __init__(self, hierarchies: Hierarchies, *, psi: bool, run_delay: RunDelay | None) -> None:
        self._hierarchies = hierarchies
        self._psi = psi
        self._run_delay = run_delay
        self._watched: dict[str, WatchedCgroup] = {}
        self._by_name: dict[str, Tenant] = {}

    def arrange(self, cgroups: Mapping[str, Owner], links: Mapping[int, Owner]) -> None:
        """These are the tenants' cgroups and interfaces now. New cgroups count from zero."""
        for path in [path for path in self._watched if path not in cgroups]:
            self._forget(path)
        for path in cgroups:
            if path not in self._watched:
                self._open(path)
        by_name: dict[str, Tenant] = {}
        for path, owner in cgroups.items():
            if path in self._watched:
                _tenant(by_name, owner).cgroups.append(self._watched[path])
        for index, owner in links.items():
            _tenant(by_name, owner).links.append(index)
        self._by_name = by_name

    def baseline(self, *, disks: bool) -> None:
        """Read every cgroup once, so that only what comes after counts."""
        for watched in list(self._watched.values()):
            watched.before = None
            self._read(watched, disks=disks)
            if self._run_delay is not None:
                self._run_delay.waited_microseconds(watched.files.path)

    def open_missing(self) -> None:
        """Try again all files that were absent."""
        for watched in self._watched.values():
            watched.files.open_missing()

    def troubles(self) -> list[str]:
        """What should have been readable and was not."""
        return [cgroup.files.trouble for cgroup in self._watched.values() if cgroup.files.trouble]

    def close(self) -> None:
        """Let go of all descriptors."""
        for path in list(self._watched):
            self._forget(path)
        self._by_name = {}

    def usage(
        self,
        seconds: float,
        links_before: Mapping[int, LinkCounters],
        links_now: Mapping[int, LinkCounters],
        disk_names: Mapping[bytes, str],
        *,
        disks: bool,
    ) -> tuple[TenantUsage, ...]:
        """Everybody's use since the last round. `disks` False: their counters do not count."""
        return tuple(
            self._usage_of(tenant, seconds, links_before, links_now, disk_names, disks)
            for tenant in self._by_name.values()
        )

    def _usage_of(
        self,
        tenant: Tenant,
        seconds: float,
        links_before: Mapping[int, LinkCounters],
        links_now: Mapping[int, LinkCounters],
        disk_names: Mapping[bytes, str],
        with_disks: bool,
    ) -> TenantUsage:
        cpu = throttled = 0
        cpu_waiting = io_waiting = -1
        moved: dict[bytes, DiskCounters] | None = None
        for watched in tenant.cgroups:
            before = watched.before
            now = self._read(watched, disks=with_disks)
            if now is None:
                continue
            if before is None or watched.before is not now:
                before = Counters()
            if now.cpu is not None and before.cpu is not None:
                cpu += increase(before.cpu, now.cpu)
        raise NotImplementedError

    def _forget(self, path: str) -> None:
        self._watched.pop(path).files.close()
        if self._run_delay is not None:
            self._run_delay.forget(path)


def _tenant(by_name: dict[str, Tenant], owner: Owner) -> Tenant:
    """The tenant's entry; of several rules that name it, the first one's weight holds."""
    tenant = by_name.get(owner.tenant)
    if tenant is None:
        tenant = by_name[owner.tenant] = Tenant(owner, [], [])
    elif owner.rule < tenant.owner.rule:
        tenant.owner = owner
    return tenant
