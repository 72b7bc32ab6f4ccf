"""The simulated limiter: holds what it is told, and lets go when the lease ends."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fairuse_protocol.limits import (
    HeldLimit,
    LiftedLimit,
    LiftReason,
    LimiterState,
    LimitOrder,
)
from fairuse_protocol.messages import Resource

WAYS = {"cpu": "simulated quota", "net-out": "simulated shaper"}
_REMEMBERED = 10


@dataclass(frozen=True)
class _Held:
    order: LimitOrder
    until: float


class SimulatedLimiter:
    """What stands now. Times are those of the caller's clock."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._lifted: list[LiftedLimit] = []

    def cap(self, tenant: str, resource: Resource) -> float:
        """What the tenant may use at most; infinite without a limit."""
        for held in self._held.values():
            if (held.order.tenant, held.order.resource) == (tenant, resource):
                allowance = held.order.allowance
                amount = allowance.cores if resource == "cpu" else allowance.bytes_per_second
                return math.inf if amount is None else amount
        return math.inf

    def obey(self, orders: Sequence[LimitOrder], now: float) -> None:
        """Make these limits, and no others, stand."""
        wanted = {order.order: order for order in orders if order.resource in WAYS}
        for name in set(self._held) - set(wanted):
            self._lift(name, "withdrawn")
        ended = {lifted.order for lifted in self._lifted}
        for name, order in wanted.items():
            if name not in ended:
                self._held[name] = _Held(order, now + order.remaining_seconds)

    def ends_before(self, now: float) -> list[float]:
        """When leases end that end before `now`, in order."""
        return sorted(held.until for held in self._held.values() if held.until < now)

    def expire(self, now: float) -> None:
        """Lift what has outlived its lease."""
        for name in [name for name, held in self._held.items() if held.until <= now]:
            self._lift(name, "lease-ended")

    def _lift(self, name: str, reason: LiftReason) -> None:
        order = self._held.pop(name).order
        lifted = LiftedLimit(
            order=name,
            tenant=order.tenant,
            resource=order.resource,
            reason=reason,
            lifted_at=time.time(),
        )
        self._lifted = [*self._lifted, lifted][-_REMEMBERED:]

    def state(self, now: float) -> LimiterState:
        """What it says of itself in a report."""
        held = tuple(
            HeldLimit(
                order=name,
                tenant=held.order.tenant,
                resource=held.order.resource,
                allowance=held.order.allowance,
                remaining_seconds=max(0.0, held.until - now),
                way=WAYS[held.order.resource],
            )
            for name, held in self._held.items()
        )
        return LimiterState(held=held, lifted=tuple(self._lifted), ways=WAYS)
