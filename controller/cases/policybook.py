"""The policies in force: policies.toml and the files it names, read again when any changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from controller.cases.policies import PolicySet, policy_set
from controller.cases.selection import Selection
from controller.fairshare.policy import Policy
from controller.watched import Reading, Watched
from fairuse_protocol.settings import problem_in


class PolicyBook:
    """Which policy applies to whom, now.

    The first reading raises SettingsError when a file cannot be used. Later all files are taken
    together or not at all: a change that cannot be used leaves the policies as they were, is
    logged once, and stands in `problem`.
    """

    def __init__(
        self, path: Path | None, plan_of: Callable[[str], str], clock: Callable[[], float]
    ) -> None:
        """Without a `path` the built-in policy applies to everybody."""
        self._path = path
        self._plan_of = plan_of
        self._clock = clock
        self._known: dict[str, Policy] = {}
        self._set = Watched(self._read, "policies")

    @property
    def problem(self) -> str:
        """Why the files as they are now are not in force; empty when they are."""
        return self._set.problem

    def refresh(self) -> None:
        """Read the files again if one of them has changed."""
        self._set.refresh()

    def policy_for(self, tenant: str, host: str) -> Policy:
        """The policy that applies to the tenant on that host, as of the last refresh."""
        return self._set.value.policy_for(tenant, host, self._plan_of(tenant), self._clock())

    def coming_for(self, tenant: str, host: str) -> tuple[tuple[Policy, Policy], ...]:
        """Versions that will apply to the tenant on that host and are announced by now, each with
        the one before it."""
        return self._set.value.coming_for(tenant, host, self._plan_of(tenant), self._clock())

    def policies(self) -> tuple[Policy, ...]:
        """Every policy that applies to anybody."""
        return self._set.value.policies(self._clock())

    def _read(self, reading: Reading) -> PolicySet:
        if self._path is None:
            return policy_set(Selection(), (), now=self._clock())
        selection = reading.load(self._path, Selection)
        policies = [reading.load(self._path.parent / file, Policy) for file in selection.files]
        # What is as before stays the same object, by which others keep what they worked out.
        same = [
            known if (known := self._known.get(policy.key)) == policy else policy
            for policy in policies
        ]
        try:
            read = policy_set(selection, same, now=self._clock())
        except ValueError as error:
            raise problem_in(self._path, str(error)) from error
        self._known = {policy.key: policy for policy in same}
        return read
