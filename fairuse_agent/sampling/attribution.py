"""Which cgroup and which interface is whose, followed from round to round."""

from __future__ import annotations

from collections.abc import KeysView
from dataclasses import replace

from fairuse_agent.sampling.hierarchy import Hierarchies
from fairuse_agent.sampling.links import Links
from fairuse_agent.sampling.namespaces import Namespaces
from fairuse_agent.sampling.netlink import RouteSocket
from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery.kinds import Sources, kinds_of
from fairuse_agent.tenancy.owner import Owner
from fairuse_agent.tenancy.ownership import Ownership
from fairuse_agent.tenancy.walk import TenantCgroups

_READ_AGAIN_SECONDS = 300.0
"""How often to read again what no event tells: shares, cores."""


class Attribution:
    """Owners by cgroup path and by interface index.

    Raises SettingsError for a rule that cannot be used. Where libvirt has guests, making one
    waits a moment for libvirt to tell whose they are.
    """

    def __init__(self, settings: AgentSettings, hierarchies: Hierarchies, route: RouteSocket):
        sources = Sources(hierarchies.v2, hierarchies.cpu_v1, hierarchies.walked)
        self.ownership = Ownership(settings, kinds_of(settings, sources))
        self.links = Links(self.ownership, route)
        self._cgroups = TenantCgroups(self.ownership, hierarchies.walked)
        self._namespaces = Namespaces(route, hierarchies.walked)
        self._led_to: dict[int, Owner] = {}
        self._read_again_at: float | None = None

    @property
    def cgroups(self) -> dict[str, Owner]:
        """Owners of cgroups by path from the mount."""
        return self._cgroups.owners

    @property
    def interfaces(self) -> dict[int, Owner]:
        """Owners of interfaces by index."""
        return {**self.links.owners, **self._led_to}

    def look(self, indices: KeysView[int], now: float) -> bool:
        """Look again; `indices` are the interfaces present. True when anything changed."""
        if self._read_again_at is None or now >= self._read_again_at:
            if self._read_again_at is not None:
                self.ownership.read_again()
            self._read_again_at = now + _READ_AGAIN_SECONDS
        news = self.ownership.look()
        moved = self._cgroups.refresh(news) | self.links.update(indices, again=bool(news))
        if moved or self._namespaces.unsettled:
            led_to = {
                index: replace(owner, why=f"leads into {path}")
                for index, (owner, path) in self._namespaces.owners(
                    self.cgroups, self.links.leading
                ).items()
            }
            moved |= led_to != self._led_to
            self._led_to = led_to
        return moved

    def notes(self) -> list[str]:
        """Short sentences about what could not be learned."""
        notes = self.ownership.notes()
        if self._cgroups.trouble:
            notes.append(f"cgroups are as they were in {self._cgroups.trouble}")
        return notes

    def close(self) -> None:
        """End what runs in the background."""
        self.ownership.close()
