"""LXC containers, also under LXD and Incus: `lxc.payload.NAME`, before LXC 4 `lxc/NAME`."""

from __future__ import annotations

from fairuse_agent.tenancy.discovery.kind import Finding, Kind
from fairuse_agent.tenancy.discovery.shares import CpuShares


class Lxc(Kind):
    """The tenant is the container's name, its weight its CPU shares."""

    name = "lxc"
    places = ("/lxc.payload.{tenant}", "/lxc/{tenant}")

    def __init__(self, shares: CpuShares) -> None:
        super().__init__()
        self._shares = shares

    def of_cgroup(self, path: str) -> Finding | None:
        """Every container is a tenant."""
        container = self._captured(path)
        if container is None:
            return None
        weight, why = self._shares.weight(path)
        return Finding(container, weight, f"container {container}; {why}")
