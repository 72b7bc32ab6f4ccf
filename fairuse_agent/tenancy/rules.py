"""Whose a cgroup or an interface is, by the rules of agent.toml.

The first rule that fits wins, in the order of the file. Asking about one path looks at that path
alone; that a cgroup below a tenant's cgroup is never counted again is the `walk`'s part.
"""

from __future__ import annotations

from dataclasses import dataclass

from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.owner import OWN_WEIGHT_RANK, Owner
from fairuse_agent.tenancy.patterns import NamePattern, PathPattern, PatternError
from fairuse_protocol.settings import SettingsError


@dataclass(frozen=True, slots=True)
class _Rule:
    cgroup: PathPattern | None
    interfaces: tuple[NamePattern, ...]
    weight: float
    why: str


class TenantRules:
    """All rules of one host. Raises SettingsError naming a pattern that cannot be used."""

    def __init__(self, settings: AgentSettings) -> None:
        self._weights = settings.weights
        self._rules = tuple(
            _Rule(
                cgroup=_path(rule.cgroup, index) if rule.cgroup else None,
                interfaces=tuple(_name(text, index) for text in rule.interfaces),
                weight=rule.weight,
                why=" ".join(filter(None, (rule.cgroup, *rule.interfaces))),
            )
            for index, rule in enumerate(settings.tenants)
        )

    def owner_of_cgroup(self, path: str) -> Owner | None:
        """Whose the cgroup at `path` (from the mount, starting with "/") is, or None."""
        for index, rule in enumerate(self._rules):
            if rule.cgroup is not None and (tenant := rule.cgroup.tenant(path)):
                return self._owner(tenant, index)
        return None

    def owner_of_interface(self, name: str) -> Owner | None:
        """Whose the interface `name` (the host's end of the link) is, or None."""
        for index, rule in enumerate(self._rules):
            for pattern in rule.interfaces:
                if tenant := pattern.tenant(name):
                    return self._owner(tenant, index)
        return None

    def may_own_below(self, path: str) -> bool:
        """Can any cgroup below `path` ("" is the root) be a tenant's?"""
        return any(
            rule.cgroup is not None and rule.cgroup.may_fit_below(path) for rule in self._rules
        )

    def _owner(self, tenant: str, index: int) -> Owner:
        own = self._weights.get(tenant)
        why = self._rules[index].why
        if own is not None:
            return Owner(tenant, own, OWN_WEIGHT_RANK, f"tenants[{index}]", why)
        return Owner(tenant, self._rules[index].weight, index, f"tenants[{index}]", why)


def _path(text: str, index: int) -> PathPattern:
    try:
        return PathPattern.parse(text)
    except PatternError as error:
        raise SettingsError(f'tenants[{index}].cgroup: {error}, found "{text}"') from error


def _name(text: str, index: int) -> NamePattern:
    try:
        return NamePattern.parse(text)
    except PatternError as error:
        raise SettingsError(f'tenants[{index}].interfaces: {error}, found "{text}"') from error
