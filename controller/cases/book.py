"""What is open now: a cache over the store, so that a report costs no query."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from controller.cases.model import Case, EndLimit, OrderLimit, Step
from fairuse_protocol.limits import LimitOrder
from fairuse_protocol.messages import Allowance, Resource

CaseKey = tuple[str, str, Resource]
"""Host, tenant, resource: at most one open case each."""


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """A limit that a host should hold until its lease ends."""

    order: str
    case_id: str
    host: str
    tenant: str
    resource: Resource
    allowance: Allowance
    fair_share: Allowance
    lease_until: float
    lease_seconds: float
    """Its whole length: however the clock jumps, no host is ever told more."""

    def as_told(self, now: float) -> LimitOrder:
        """The order as the host gets it now."""
        return LimitOrder(
            order=self.order,
            tenant=self.tenant,
            resource=self.resource,
            allowance=self.allowance,
            fair_share=self.fair_share,
            remaining_seconds=min(self.lease_seconds, self.lease_until - now),
        )


class Book:
    """Open cases and standing orders, by what they are looked up by."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self._ids: dict[CaseKey, str] = {}
        self._by_host: defaultdict[str, set[str]] = defaultdict(set)
        self._orders: defaultdict[str, dict[str, StandingOrder]] = defaultdict(dict)

    def keep(self, case: Case) -> None:
        """Take in the newest version of a case; a closed one is forgotten."""
        key = (case.host, case.tenant, case.resource)
        if case.state == "closed":
            if self.cases.pop(case.id, None) is not None:
                del self._ids[key]
                self._by_host[case.host].discard(case.id)
            return
        self.cases[case.id] = case
        self._ids[key] = case.id
        self._by_host[case.host].add(case.id)

    def apply(self, done: Step) -> None:
        """Take in a step that is stored."""
        case = done.case
        self.keep(case)
        for action in done.actions:
            if isinstance(action, OrderLimit):
                self.keep_order(
                    StandingOrder(
                        order=action.order,
                        case_id=case.id,
                        host=case.host,
                        tenant=case.tenant,
                        resource=case.resource,
                        allowance=action.allowance,
                        fair_share=action.fair_share,
                        lease_until=action.lease_until,
                        lease_seconds=_lease_seconds(case),
                    )
                )
            elif isinstance(action, EndLimit):
                self._orders[case.host].pop(action.order, None)

    def keep_order(self, order: StandingOrder) -> None:
        """Take in an order that stands."""
        self._orders[order.host][order.order] = order

    def is_open(self, key: CaseKey) -> bool:
        """Whether there is an open case about this host, tenant and resource."""
        return key in self._ids

    def of_host(self, host: str) -> list[Case]:
        """The open cases of one host, in a stable order."""
        return [self.cases[case_id] for case_id in sorted(self._by_host.get(host, ()))]

    def orders_of(self, host: str, now: float) -> tuple[LimitOrder, ...]:
        """What one host should hold now."""
        standing = self._orders.get(host)
        if not standing:
            return ()
        return tuple(order.as_told(now) for order in standing.values() if order.lease_until > now)

    def limits_on(self, host: str) -> int:
        """How many limits one host should hold."""
        return len(self._orders.get(host, ()))

    def limits(self) -> int:
        """How many limits stand in the fleet."""
        return sum(len(orders) for orders in self._orders.values())


def _lease_seconds(case: Case) -> float:
    return case.limit.lease_until - case.limit.ordered_at if case.limit else 0.0
