"""Cgroup trees as folders, in the shape of real hosts' ones."""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery.kind import Kind
from fairuse_agent.tenancy.discovery.shares import CpuShares
from fairuse_agent.tenancy.owner import Owner, weight_of
from fairuse_agent.tenancy.ownership import Ownership
from fairuse_agent.tenancy.walk import TenantCgroups


class Tree:
    """A v2 hierarchy in a folder, walked with the kinds that a test switches on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(exist_ok=True)
        self.shares = CpuShares(root, None)
        self.settings = AgentSettings()
        self.ownership = Ownership(self.settings)
        self.cgroups = TenantCgroups(self.ownership, (root,))

    def make(self, *paths: str, cpu_weight: int | None = None) -> None:
        for path in paths:
            folder = self.root / path.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            if cpu_weight is not None:
                (folder / "cpu.weight").write_text(f"{cpu_weight}\n")

    def remove(self, path: str) -> None:
        folder = self.root / path.lstrip("/")
        (folder / "cpu.weight").unlink(missing_ok=True)
        folder.rmdir()

    def switch_on(self, *kinds: Kind, settings: AgentSettings | None = None) -> None:
        self.ownership = Ownership(settings or self.settings, kinds)
        self.cgroups = TenantCgroups(self.ownership, (self.root,))

    def look(self) -> dict[str, str]:
        """One round; tenants by cgroup path."""
        self.cgroups.refresh(self.ownership.look())
        return {path: owner.tenant for path, owner in self.cgroups.owners.items()}

    def owner(self, path: str) -> Owner:
        return self.cgroups.owners[path]

    def weight(self, tenant: str) -> float:
        return weight_of(
            [owner for owner in self.cgroups.owners.values() if owner.tenant == tenant], []
        )
