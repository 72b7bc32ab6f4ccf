"""Which policy applies to a tenant on a host now: pure, out of all policies and their versions.

The most specific choice wins: the tenant's own, then its plan's, then its host's (the first
pattern that matches, in the order of the file), then the default. Of the chosen policy the newest
version applies whose effective day has come, unless the tenant stays on a former one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Protocol

from controller.cases.selection import For, Selection, Stay
from controller.fairshare.policy import Policy
from fairuse_protocol.settings import require


class PolicyChoice(Protocol):
    """Whoever knows which policy applies to whom now."""

    def policy_for(self, tenant: str, host: str) -> Policy:
        """The policy that applies; the same object for as long as it does."""

    def policies(self) -> tuple[Policy, ...]:
        """Every policy that applies to anybody."""


@dataclass(frozen=True, slots=True)
class OnePolicy:
    """The same policy for everybody."""

    policy: Policy

    def policy_for(self, tenant: str, host: str) -> Policy:
        """It."""
        return self.policy

    def policies(self) -> tuple[Policy, ...]:
        """It."""
        return (self.policy,)


def policies_on(choice: PolicyChoice, host: str, tenants: Sequence[str]) -> tuple[Policy, ...]:
    """The policies of these tenants, each once, and never none; asked for with every report."""
    every = choice.policies()
    if len(every) == 1 or not tenants:
        return every[:1]
    chosen = {id(policy): policy for policy in (choice.policy_for(t, host) for t in tenants)}
    return tuple(chosen.values())


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of a controller, and whom they are for. Made by `policy_set`."""

    default: str
    versions: Mapping[str, tuple[Policy, ...]]
    """By name, the version that applies from the earliest day first."""
    by_tenant: Mapping[str, str]
    by_plan: Mapping[str, str]
    by_host: Mapping[str, str]
    """Patterns in the order in which they are tried."""
    stays: Mapping[tuple[str, str], tuple[Policy, float]]
    """By tenant and policy's name: the version, and until when."""
    _of_host: dict[str, str] = field(default_factory=dict, compare=False)
    """Names by host, as far as they were asked for: every report asks."""

    def policy_for(self, tenant: str, host: str, plan: str, now: float) -> Policy:
        """The policy that applies; the same object for as long as it does."""
        name = self._name_for(tenant, host, plan)
        current = self._in_force(name, now)
        version, until = self.stays.get((tenant, name), (current, 0.0))
        # Who stays on a version does so once another one has taken its place.
        return version if now < until and _starts_at(version) < _starts_at(current) else current

    def policies(self, now: float) -> tuple[Policy, ...]:
        """Every policy that applies to anybody now, each once."""
        names = (self.default, *self.by_tenant.values(), *self.by_plan.values())
        current = [self._in_force(name, now) for name in (*names, *self.by_host.values())]
        stayed = [version for version, until in self.stays.values() if now < until]
        return tuple({policy.key: policy for policy in (*current, *stayed)}.values())

    def coming_for(
        self, tenant: str, host: str, plan: str, now: float
    ) -> tuple[tuple[Policy, Policy], ...]:
        """Versions that are announced and do not apply yet, each with the one before it."""
        name = self._name_for(tenant, host, plan)
        return tuple(
            (before, after)
            for before, after in pairwise(self.versions[name])
            if _starts_at(after) > now
            and (after.announced is None or _midnight(after.announced) <= now)
        )

    def _name_for(self, tenant: str, host: str, plan: str) -> str:
        return self.by_tenant.get(tenant) or self.by_plan.get(plan) or self._named_for(host)

    def _named_for(self, host: str) -> str:
        name = self._of_host.get(host)
        if name is None:
            matching = (each for each in self.by_host if fnmatchcase(host, each))
            pattern = next(matching, None)
            name = self._of_host[host] = self.default if pattern is None else self.by_host[pattern]
        return name

    def _in_force(self, name: str, now: float) -> Policy:
        """The newest that has begun. One always has, unless the clock was set back."""
        versions = self.versions[name]
        begun = (policy for policy in reversed(versions) if _starts_at(policy) <= now)
        return next(begun, versions[0])


def policy_set(selection: Selection, policies: Sequence[Policy], *, now: float) -> PolicySet:
    """Put together what `selection` says of `policies`, which are in the order of its files.

    ValueError names the key of the selection that cannot be used, as `require` does.
    """
    versions = _versions(policies, now)
    _require_known("default", selection.default, versions)
    for index, entry in enumerate(selection.entries):
        _require_known(f"for[{index}].policy", entry.policy, versions)
    return PolicySet(
        default=selection.default,
        versions=versions,
        by_tenant=_chosen(selection.entries, "tenants", lambda entry: entry.tenants),
        by_plan=_chosen(selection.entries, "plans", lambda entry: entry.plans),
        by_host=_chosen(selection.entries, "hosts", lambda entry: entry.hosts),
        stays=_stays(selection.stay, versions),
    )


def _versions(policies: Sequence[Policy], now: float) -> dict[str, tuple[Policy, ...]]:
    by_name: defaultdict[str, list[Policy]] = defaultdict(list)
    for index, policy in enumerate(policies):
        same = [other for other in policies[:index] if other.key == policy.key]
        found = f'"{policy.key}" twice'
        require(not same, f"files[{index}]", expected="one file a version", found=found)
        by_name[policy.name].append(policy)
    if "default" not in by_name:
        by_name["default"].append(Policy())
    return {name: _in_order(name, versions, now) for name, versions in by_name.items()}


def _in_order(name: str, versions: Iterable[Policy], now: float) -> tuple[Policy, ...]:
    ordered = tuple(sorted(versions, key=_starts_at))
    for before, after in pairwise(ordered):
        require(
            _starts_at(before) < _starts_at(after),
            "files",
            expected=f'versions of "{name}" with different effective days',
            found=f'"{before.version}" and "{after.version}" with the same',
        )
    require(
        _starts_at(ordered[0]) <= now,
        "files",
        expected=f'a version of "{name}" that is in force',
        found=f'"{ordered[0].version}" from {ordered[0].effective} on',
    )
    return ordered


def _chosen(
    entries: Sequence[For], key: str, named: Callable[[For], Sequence[str]]
) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for index, entry in enumerate(entries):
        for name in named(entry):
            require(
                name not in chosen,
                f"for[{index}].{key}",
                expected="each name once in all of [[for]]",
                found=f'"{name}" twice',
            )
            chosen[name] = entry.policy
    return chosen


def _stays(
    stays: Sequence[Stay], versions: Mapping[str, Sequence[Policy]]
) -> dict[tuple[str, str], tuple[Policy, float]]:
    chosen: dict[tuple[str, str], tuple[Policy, float]] = {}
    for index, stay in enumerate(stays):
        key = f"stay[{index}]"
        _require_known(f"{key}.policy", stay.policy, versions)
        version = _stayed(stay, versions[stay.policy], key)
        for tenant in stay.tenants:
            require(
                (tenant, stay.policy) not in chosen,
                f"{key}.tenants",
                expected="each tenant once for a policy",
                found=f'"{tenant}" twice',
            )
            chosen[tenant, stay.policy] = version, _midnight(stay.until)
    return chosen


def _stayed(stay: Stay, versions: Sequence[Policy], key: str) -> Policy:
    """The version that is stayed on, if the one after it allows that for so long."""
    for version, successor in pairwise(versions):
        if version.version == stay.version and successor.effective is not None:
            last = successor.effective + dt.timedelta(seconds=successor.former_version_for)
            require(
                stay.until <= last,
                f"{key}.until",
                expected=f"{last} at the latest, {successor.former_version_for} "
                f'(former_version_for) after "{successor.version}" applies',
                found=str(stay.until),
            )
            return version
    former = [f'"{version.version}"' for version in versions[:-1]]
    require(
        False,
        f"{key}.version",
        expected=f"a former version: {', '.join(former)}" if former else "a policy with several",
        found=f'"{stay.version}"',
    )
    raise AssertionError("require has refused")


def _require_known(key: str, name: str, versions: Mapping[str, Sequence[Policy]]) -> None:
    names = ", ".join(f'"{each}"' for each in versions)
    require(name in versions, key, expected=f"a policy's name: {names}", found=f'"{name}"')


def _starts_at(policy: Policy) -> float:
    return -math.inf if policy.effective is None else _midnight(policy.effective)


def _midnight(day: dt.date) -> float:
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
