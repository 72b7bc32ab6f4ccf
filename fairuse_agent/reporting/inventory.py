"""Whose everything on this host is, and why: what an operator checks before switching it on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fairuse_agent.sampling.attribution import Attribution
from fairuse_agent.sampling.hierarchy import Hierarchies, find_hierarchies
from fairuse_agent.sampling.netlink import RouteSocket
from fairuse_agent.sampling.unowned import unowned_cpu_seconds
from fairuse_agent.sampling.uplinks import default_route_interfaces
from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery.elsewhere import counted_at
from fairuse_agent.tenancy.discovery.kinds import would_claim
from fairuse_agent.tenancy.owner import Owner, weight_of

_MEASURED_SECONDS = 1.0
_LEAST_CORES = 0.01
"""What uses less is not worth an operator's look."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A cgroup's path or an interface's name, who says whose it is, and why."""

    name: str
    source: str
    why: str


class FoundTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant with all that is its."""

    tenant: str
    weight: float
    cgroups: tuple[Part, ...]
    interfaces: tuple[Part, ...]


class UnownedCgroup(msgspec.Struct, frozen=True, kw_only=True):
    """A cgroup that uses the processor and is no tenant's; `why` may be empty."""

    path: str
    cpu_cores: float
    why: str


class UnownedInterface(msgspec.Struct, frozen=True, kw_only=True):
    """An interface that is no tenant's; `why` may be empty."""

    name: str
    why: str


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything found. Weights say what tenants are entitled to, beside each other."""

    tenants: tuple[FoundTenant, ...]
    unowned_cgroups: tuple[UnownedCgroup, ...]
    unowned_interfaces: tuple[UnownedInterface, ...]
    notes: tuple[str, ...]


async def take_inventory(settings: AgentSettings) -> Inventory:
    """Look at this host for a second. Raises SettingsError, NoHierarchyError, OSError."""
    hierarchies = find_hierarchies(Path("/sys/fs/cgroup"), Path("/proc"))
    route = RouteSocket()
    attribution = Attribution(settings, hierarchies, route)
    try:
        attribution.look(route.link_counters()[0].keys(), time.monotonic())
        began = time.monotonic()
        before = unowned_cpu_seconds(hierarchies, attribution.cgroups)
        await asyncio.sleep(_MEASURED_SECONDS)
        attribution.look(route.link_counters()[0].keys(), time.monotonic())
        seconds = time.monotonic() - began
        return Inventory(
            tenants=found_tenants(attribution),
            unowned_cgroups=_unowned_cgroups(settings, attribution, hierarchies, before, seconds),
            unowned_interfaces=_unowned_interfaces(settings, attribution),
            notes=tuple(attribution.notes()),
        )
    finally:
        attribution.close()
        route.close()


def found_tenants(attribution: Attribution) -> tuple[FoundTenant, ...]:
    """All tenants by name, as attributed at the last look."""
    cgroups: dict[str, list[tuple[str, Owner]]] = {}
    interfaces: dict[str, list[tuple[str, Owner]]] = {}
    for path, owner in sorted(attribution.cgroups.items()):
        cgroups.setdefault(owner.tenant, []).append((path, owner))
    for index, owner in attribution.interfaces.items():
        name = attribution.links.names[index]
        interfaces.setdefault(owner.tenant, []).append((name, owner))
    return tuple(
        FoundTenant(
            tenant=tenant,
            weight=weight_of(
                [owner for _, owner in cgroups.get(tenant, ())],
                [owner for _, owner in interfaces.get(tenant, ())],
            ),
            cgroups=_parts(cgroups.get(tenant, ())),
            interfaces=_parts(sorted(interfaces.get(tenant, ()), key=lambda found: found[0])),
        )
        for tenant in sorted(cgroups.keys() | interfaces.keys())
    )


def _parts(found: Iterable[tuple[str, Owner]]) -> tuple[Part, ...]:
    return tuple(Part(name=name, source=owner.source, why=owner.why) for name, owner in found)


def _unowned_cgroups(
    settings: AgentSettings,
    attribution: Attribution,
    hierarchies: Hierarchies,
    before: dict[str, float],
    seconds: float,
) -> tuple[UnownedCgroup, ...]:
    """The busy ones, and those of a kind that could have told whose they are."""
    found = []
    for path, used in unowned_cpu_seconds(hierarchies, attribution.cgroups).items():
        cores = (used - before.get(path, used)) / seconds
        why = attribution.ownership.why_not(path)
        kind = would_claim(path, settings.discover)
        if kind:
            why = f'"{kind}" in discover would make it a tenant'
        if why or cores >= _LEAST_CORES:
            found.append(UnownedCgroup(path=path, cpu_cores=cores, why=why))
    return tuple(sorted(found, key=lambda cgroup: -cgroup.cpu_cores))


def _unowned_interfaces(
    settings: AgentSettings, attribution: Attribution
) -> tuple[UnownedInterface, ...]:
    uplinks = settings.host.uplinks or default_route_interfaces(Path("/proc"))
    links, owned = attribution.links, attribution.interfaces
    return tuple(
        UnownedInterface(name=name, why=_why_unowned(name, uplinks, links.leading.get(index)))
        for index, name in sorted(links.names.items(), key=lambda found: found[1])
        if name and name != "lo" and index not in owned
    )


def _why_unowned(name: str, uplinks: Iterable[str], leads_to: int | None) -> str:
    if elsewhere := counted_at(name):
        return f"carries what counts at {elsewhere}"
    if name in uplinks:
        return "leads to the world"
    if (Path("/sys/class/net") / name / "bridge").exists():
        return "a bridge: what crosses it counts at its ports"
    if (Path("/sys/class/net") / name / "device").exists():
        return "hardware"
    if leads_to is not None:
        return "leads into a network namespace with no tenant's processes"
    return ""
