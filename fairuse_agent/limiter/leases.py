"""Lease arithmetic. `now` is CLOCK_BOOTTIME in seconds, which counts through a suspend.

An order's end is fixed when it is first taken up (its tenant is being measured) and can only come
nearer. So are the tenant and the resource that it is for. An order that has ended
stays ended; only a limiter that stopped or started in between may take it up again, and then up
to the same end.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import msgspec

from fairuse_protocol.limits import Held, LiftReason, LimitOrder, SuspendOrder

REVIVABLE: frozenset[LiftReason] = frozenset({"limiter-started", "limiter-stopped"})
"""Ends that were the limiter's own doing: the same order may be named again after them."""

REMEMBERED_SECONDS = 86400.0
"""How long an order that has ended is known: the longest lease that settings allow."""


class Lease(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long one order may hold. `ends_at_epoch` is the same moment on the wall clock, the
    only clock that goes on over a reboot. `tenant` and `resource` are what the order was proven
    for; it can be for no others."""

    order: str
    tenant: str
    resource: Held
    ends_at: float
    ends_at_epoch: float
    ended: LiftReason | None = None


class Clock:
    """The two clocks that the limiter goes by."""

    def boottime(self) -> float:
        """Seconds since boot, suspends included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def epoch(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()


def boot_id() -> str:
    """What tells this boot of the host from others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def seen(
    lease: Lease | None,
    order: LimitOrder | SuspendOrder,
    *,
    max_lease: float,
    now: float,
    epoch: float,
) -> Lease:
    """The lease after this order was named with this much time left: new, or nearer its end."""
    left = min(max(order.remaining_seconds, 0.0), max_lease)
    if lease is None:
        return Lease(
            order=order.order,
            tenant=order.tenant,
            resource=order.resource,
            ends_at=now + left,
            ends_at_epoch=epoch + left,
        )
    if now + left >= lease.ends_at:
        return lease
    return msgspec.structs.replace(lease, ends_at=now + left, ends_at_epoch=epoch + left)


def after_boot(lease: Lease, *, max_lease: float, now: float, epoch: float) -> Lease:
    """The same lease on a new boot's clock."""
    left = min(lease.ends_at_epoch - epoch, max_lease)
    return msgspec.structs.replace(lease, ends_at=now + left)


def remaining(lease: Lease, *, now: float) -> float:
    """Seconds left, 0 when it is over."""
    return max(0.0, lease.ends_at - now)


def fits(lease: Lease, order: LimitOrder | SuspendOrder) -> bool:
    """True when the order is for the tenant and the resource that it was first for."""
    return (lease.tenant, lease.resource) == (order.tenant, order.resource)


def barred(lease: Lease, *, now: float) -> str | None:
    """Why this order cannot be applied any more, or None."""
    if lease.ended is not None and lease.ended not in REVIVABLE:
        return f"this order ended ({lease.ended}) and cannot be revived: a new one is needed"
    if lease.ends_at <= now:
        return "this order's lease is over, counted from when it was first seen"
    return None


def ending(
    lease: Lease, *, heard_at: float, max_silence: float, now: float
) -> Literal["lease-ended", "controller-silent"] | None:
    """Why a standing limit has to end now, or None while it may stand."""
    if lease.ends_at <= now:
        return "lease-ended"
    if now - heard_at > max_silence:
        return "controller-silent"
    return None


def forgettable(lease: Lease, *, now: float) -> bool:
    """True when nobody can name this order any more with time left."""
    return lease.ends_at + REMEMBERED_SECONDS < now
