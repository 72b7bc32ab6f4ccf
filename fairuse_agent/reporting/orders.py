"""The controller's last word on this host's limits, and how old it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from fairuse_protocol.limits import LimitOrder, SetLimits, SuspendOrder, TenantPlace
from fairuse_protocol.messages import Allowance
from fairuse_protocol.reports import Capacity

Order = TypeVar("Order", LimitOrder, SuspendOrder)


class Orders:
    """What the controller last ordered, counted down by this host's clock.

    `heard_at` is when the request was sent that got the answer: the answer cannot be older, so
    a slow network makes leases end early, never late.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._limits: tuple[LimitOrder, ...] = ()
        self._suspensions: tuple[SuspendOrder, ...] = ()
        self._heard_at: float | None = None

    def hear(
        self,
        limits: tuple[LimitOrder, ...],
        heard_at: float,
        suspensions: tuple[SuspendOrder, ...] = (),
    ) -> None:
        """Take the whole set of limits and suspensions from an answer."""
        self._limits, self._suspensions, self._heard_at = limits, suspensions, heard_at
        self.changed.set()

    def request(
        self,
        now: float,
        *,
        places: Sequence[TenantPlace],
        disks: Sequence[str],
        capacity: Capacity,
    ) -> SetLimits | None:
        """What to tell the limiter at `now`; None before the controller was ever heard: an agent
        that knows nothing must not withdraw what its predecessor handed over."""
        if self._heard_at is None:
            return None
        age = max(0.0, now - self._heard_at)
        return SetLimits(
            orders=_aged(self._limits, age),
            suspensions=_aged(self._suspensions, age),
            places=tuple(places),
            controller_heard_seconds_ago=age,
            disks=tuple(disks),
            capacity_disk=_disk_capacity(capacity),
            capacity_net_in=_net_capacity(capacity.net_in_bytes_per_second),
            capacity_net_out=_net_capacity(capacity.net_out_bytes_per_second),
        )


def _aged(orders: tuple[Order, ...], age_seconds: float) -> tuple[Order, ...]:
    return tuple(
        msgspec.structs.replace(order, remaining_seconds=order.remaining_seconds - age_seconds)
        for order in orders
        if order.remaining_seconds > age_seconds
    )


def _disk_capacity(capacity: Capacity) -> Allowance | None:
    allowance = Allowance(
        bytes_per_second=capacity.disk_bytes_per_second,
        operations_per_second=capacity.disk_operations_per_second,
    )
    return None if allowance == Allowance() else allowance


def _net_capacity(bytes_per_second: float | None) -> Allowance | None:
    return None if bytes_per_second is None else Allowance(bytes_per_second=bytes_per_second)
