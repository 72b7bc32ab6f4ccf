"""What a case's tenant uses just now, out of the windows that are in memory anyway."""

from __future__ import annotations

from controller.cases.hosts import Hosts
from controller.cases.model import Case
from controller.cases.policies import PolicyChoice
from controller.fairshare.evidence import Verdict


class LiveUse:
    """The last minutes of one tenant on one host with one resource, as its policy sees them."""

    def __init__(self, hosts: Hosts, policies: PolicyChoice) -> None:
        self._hosts = hosts
        self._policies = policies

    def of(self, case: Case, *, now: float) -> Verdict | None:
        """The window that ends `now`; None when it has nothing of the case's tenant."""
        host = self._hosts.get(case.host)
        if host is None:
            return None
        look = host.look(self._policies.policy_for(case.tenant, case.host)) or host.looks[0]
        verdict = look.window.verdict(case.resource, case.tenant, now=now)
        return verdict if verdict.samples else None
