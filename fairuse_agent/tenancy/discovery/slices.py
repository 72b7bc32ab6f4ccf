"""Slices of the operator's own making: every unit straight below a parent slice is a tenant."""

from __future__ import annotations

from collections.abc import Sequence

from fairuse_agent.tenancy.discovery.kind import Finding, Kind, unescaped
from fairuse_agent.tenancy.discovery.shares import CpuShares

_UNITS = (".slice", ".service", ".scope")


class Slices(Kind):
    """`customers-acme.slice` in `customers.slice` is the tenant "acme"; so is `acme.service`.

    Weights are CPU shares, so `systemctl set-property customers-acme.slice CPUWeight=400` is
    how an operator gives one.
    """

    name = "slices"

    def __init__(self, parents: Sequence[str], shares: CpuShares) -> None:
        """`parents` are slices by their unit names: "customers.slice", "web-shared.slice"."""
        self._prefixes = {slice_path(parent): parent for parent in parents}
        self.places = tuple(f"{path}/{{tenant}}" for path in self._prefixes)
        super().__init__()
        self._shares = shares

    def claims(self, path: str) -> bool:
        """Is this a unit, and not a cgroup that something made beside the units?"""
        return path.endswith(_UNITS) and super().claims(path)

    def of_cgroup(self, path: str) -> Finding | None:
        """Every unit below a parent is a tenant."""
        unit = self._captured(path)
        if unit is None:
            return None
        parent = self._prefixes[path.rpartition("/")[0]]
        tenant = unit.rpartition(".")[0]
        if unit.endswith(".slice"):
            tenant = tenant.removeprefix(parent.removesuffix(".slice") + "-")
        weight, why = self._shares.weight(path)
        return Finding(unescaped(tenant), weight, f"{unit} in {parent}; {why}")


def slice_path(unit: str) -> str:
    """Where a slice's cgroup is: "a-b.slice" lives in "/a.slice/a-b.slice" (systemd.slice(5))."""
    parts = unit.removesuffix(".slice").split("-")
    return "".join(f"/{'-'.join(parts[: count + 1])}.slice" for count in range(len(parts)))
