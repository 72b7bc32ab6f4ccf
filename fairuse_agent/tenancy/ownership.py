"""Whose a cgroup or an interface is: the rules of agent.toml first, then each kind of discovery.

Kinds are asked in the order of `discover`. What `not_tenants` names stays the host's own, and
`[weights]` has the last say about a tenant's weight.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery.kind import Finding, Kind
from fairuse_agent.tenancy.owner import DISCOVERED_RANK, OWN_WEIGHT_RANK, Owner
from fairuse_agent.tenancy.rules import TenantRules


class Ownership:
    """All that is known on this host about who owns what.

    Raises SettingsError naming a rule's pattern that cannot be used.
    """

    def __init__(self, settings: AgentSettings, kinds: Sequence[Kind] = ()) -> None:
        self._rules = TenantRules(settings)
        self._kinds = tuple(kinds)
        self._weights = settings.weights
        self._not_tenants = frozenset(settings.discovery.not_tenants)
        self._outdated: frozenset[str] = frozenset()

    def owner_of_cgroup(self, path: str) -> Owner | None:
        """Whose the cgroup at `path` (from the mount, starting with "/") is, or None."""
        owner = self._rules.owner_of_cgroup(path)
        if owner is not None:
            return owner
        for kind in self._kinds:
            if kind.claims(path):
                return self._owner(kind, kind.of_cgroup(path))
        return None

    def owner_of_interface(self, name: str) -> Owner | None:
        """Whose the interface `name` (the host's end of the link) is by its name, or None."""
        owner = self._rules.owner_of_interface(name)
        if owner is not None:
            return owner
        for kind in self._kinds:
            finding = kind.of_interface(name)
            if finding is not None:
                return self._owner(kind, finding)
        return None

    def may_own_below(self, path: str) -> bool:
        """Can any cgroup below `path` ("" is the root) be a tenant's?"""
        return self._rules.may_own_below(path) or any(
            kind.may_own_below(path) for kind in self._kinds
        )

    def look(self) -> frozenset[str]:
        """Take in what the kinds learned meanwhile: those whose answers may be others now."""
        news = {kind.name for kind in self._kinds if kind.look()} | self._outdated
        self._outdated = frozenset()
        return frozenset(news)

    def read_again(self) -> None:
        """Have what no event tells (weights, mostly) read again with the next look, in the
        background where that may take long."""
        self._outdated = frozenset(kind.name for kind in self._kinds)
        for kind in self._kinds:
            kind.read_again()

    def notes(self) -> list[str]:
        """Short sentences about what could not be learned, and what that costs."""
        return [note for kind in self._kinds for note in kind.notes()]

    def why_not(self, path: str) -> str:
        """Why a cgroup of a kind that is switched on has no owner; "" where no kind claims it."""
        for kind in self._kinds:
            if kind.claims(path):
                finding = kind.of_cgroup(path)
                if finding is None:
                    return f"{kind.name}: {kind.unknown}"
                return f'{kind.name}: "{finding.tenant}" is in not_tenants'
        return ""

    def close(self) -> None:
        """End what runs in the background."""
        for kind in self._kinds:
            kind.close()

    def _owner(self, kind: Kind, finding: Finding | None) -> Owner | None:
        if finding is None or finding.tenant in self._not_tenants:
            return None
        weight = self._weights.get(finding.tenant)
        if weight is not None:
            return Owner(finding.tenant, weight, OWN_WEIGHT_RANK, kind.name, finding.why)
        return Owner(finding.tenant, finding.weight, DISCOVERED_RANK, kind.name, finding.why)
