"""The kinds of discovery that agent.toml switches on, ready to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairuse_agent.settings import AgentSettings, KindName
from fairuse_agent.tenancy.discovery.docker import Docker
from fairuse_agent.tenancy.discovery.kind import Kind
from fairuse_agent.tenancy.discovery.kubernetes import Kubernetes
from fairuse_agent.tenancy.discovery.libvirt import Libvirt
from fairuse_agent.tenancy.discovery.lxc import Lxc
from fairuse_agent.tenancy.discovery.nspawn import Nspawn
from fairuse_agent.tenancy.discovery.proxmox import Proxmox
from fairuse_agent.tenancy.discovery.shares import CpuShares
from fairuse_agent.tenancy.discovery.slices import Slices
from fairuse_agent.tenancy.discovery.users import Users
from fairuse_agent.tenancy.patterns import PathPattern


@dataclass(frozen=True, slots=True)
class Sources:
    """Where kinds read what they read: cgroup mounts, and files of others."""

    v2: Path | None
    cpu_v1: Path | None
    walked: tuple[Path, ...]
    pve: Path = Path("/etc/pve")
    pod_logs: Path = Path("/var/log/pods")


def kinds_of(settings: AgentSettings, sources: Sources) -> tuple[Kind, ...]:
    """In the order of `discover`, which is the order in which they are asked."""
    return tuple(_kind(name, settings, sources) for name in dict.fromkeys(settings.discover))


def _kind(name: KindName, settings: AgentSettings, sources: Sources) -> Kind:
    shares = CpuShares(sources.v2, sources.cpu_v1)
    match name:
        case "libvirt":
            return Libvirt(sources.walked)
        case "proxmox":
            return Proxmox(sources.pve, shares)
        case "lxc":
            return Lxc(shares)
        case "nspawn":
            return Nspawn(shares)
        case "docker":
            file = settings.discovery.containers_file
            return Docker(Path(file) if file else None, shares)
        case "kubernetes":
            return Kubernetes(sources.pod_logs, shares)
        case "slices":
            return Slices(settings.discovery.parent_slices, shares)
        case "users":
            return Users(shares)


_ALL: tuple[type[Kind], ...] = (Libvirt, Proxmox, Lxc, Nspawn, Docker, Kubernetes, Users)


def would_claim(path: str, on: Sequence[str]) -> str:
    """The kind that speaks for cgroups like this one and is not switched on; "" if none does."""
    for kind in _ALL:
        if kind.name not in on and any(
            PathPattern.parse(place).tenant(path) is not None for place in kind.places
        ):
            return kind.name
    return ""
