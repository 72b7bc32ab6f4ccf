"""Containers of systemd-nspawn: its template's services, and the scopes of machines that were
started by hand. Scopes that libvirt registers in the same slice are not containers."""

from __future__ import annotations

import re

from fairuse_agent.tenancy.discovery.kind import Finding, Kind, unescaped
from fairuse_agent.tenancy.discovery.shares import CpuShares

_OF_LIBVIRT = re.compile(r"(?:qemu|lxc)\\x2d\d+\\x2d")


class Nspawn(Kind):
    """The tenant is the machine's name, its weight its unit's CPU shares.

    Its interfaces (`ve-NAME`, `vb-NAME`, and the hashed ones of long names) are found by the
    network namespace that they lead into.
    """

    name = "nspawn"
    places = (
        "/machine.slice/systemd-nspawn@{tenant}.service",
        "/machine.slice/machine-{tenant}.scope",
    )

    def __init__(self, shares: CpuShares) -> None:
        super().__init__()
        self._shares = shares

    def claims(self, path: str) -> bool:
        """Is this a container's, and not one of libvirt's guests?"""
        name = self._captured(path)
        return name is not None and _OF_LIBVIRT.match(name) is None

    def of_cgroup(self, path: str) -> Finding | None:
        """Every machine is a tenant."""
        escaped = self._captured(path)
        if escaped is None:
            return None
        machine = unescaped(escaped)
        weight, why = self._shares.weight(path)
        return Finding(machine, weight, f"machine {machine}; {why}")
