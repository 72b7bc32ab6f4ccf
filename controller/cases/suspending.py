"""An operator's suspension of a case's tenant: ordered by name, brief, over by itself. Pure.

It is kept in the case and ends with it. A case that closes, whatever closes it, thaws the tenant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from controller.cases.model import Case, Step, Suspension, TimelineEntry
from controller.cases.steps import CaseRefused, step
from controller.fairshare.sentence import duration
from fairuse_protocol.limits import LimiterState, SuspendOrder

MOST_SECONDS = 600.0
"""The longest suspension; a limiter's own `max_suspension` may be shorter."""


@dataclass(frozen=True)
class Order:
    """What an operator says."""

    by: str
    reason: str
    seconds: float


def suspend(case: Case, order: Order, *, now: float) -> Step:
    """An operator has the tenant frozen for so long."""
    if case.state == "closed":
        raise CaseRefused("a tenant is suspended for an open case, and this one is closed")
    if case.suspension is not None:
        raise CaseRefused(f"{case.suspension.ordered_by} has suspended the tenant already")
    seconds = min(order.seconds, MOST_SECONDS)
    suspension = Suspension(
        order=f"{case.id}-{case.version + 1}-suspension",
        ordered_by=order.by,
        reason=order.reason,
        ordered_at=now,
        lease_until=now + seconds,
    )
    entry = TimelineEntry(
        at=now,
        event="suspended",
        actor=order.by,
        text=f"Everything of the tenant is frozen for at most {duration(seconds)}: {order.reason}",
    )
    return step(case, entry, suspension=suspension)


def thaw(case: Case, *, now: float, by: str, reason: str) -> Step:
    """An operator ends the suspension now; the case and its limit go on."""
    if case.suspension is None:
        raise CaseRefused("the tenant is not suspended")
    return _over(case, now, by, reason)


def suspension_over(case: Case, *, now: float) -> Step | None:
    """Its time is over."""
    if case.suspension is None or now < case.suspension.lease_until:
        return None
    return _over(case, now, "clock", "The suspension has ended by itself.")


def ended_with_enforcement(case: Case, *, now: float, by: str, reason: str) -> Step | None:
    """All enforcement is paused, or switched off."""
    return None if case.suspension is None else _over(case, now, by, reason)


def see_limiter(case: Case, limiter: LimiterState | None, *, now: float) -> Step | None:
    """What the host's limiter says of the suspension: it stands, or will not, or does no more."""
    if case.suspension is None or limiter is None:
        return None
    frozen = any(held.order == case.suspension.order for held in limiter.suspended)
    if frozen and case.suspension.confirmed_at is None:
        text = "The host has frozen everything of the tenant."
        entry = TimelineEntry(at=now, event="suspension-started", actor="limiter", text=text)
        return step(
            case, entry, suspension=msgspec.structs.replace(case.suspension, confirmed_at=now)
        )
    for refused in limiter.refused:
        if refused.order == case.suspension.order:
            return _over(case, now, "limiter", refused.reason, event="suspension-refused")
    return None


def orders_of(cases: Iterable[Case], now: float) -> tuple[SuspendOrder, ...]:
    """What a host with these cases should hold now. However the clock jumps, no host is told
    more than a suspension's whole length."""
    standing = [case for case in cases if case.suspension is not None]
    return tuple(
        SuspendOrder(
            order=suspension.order,
            tenant=case.tenant,
            remaining_seconds=min(
                suspension.lease_until - suspension.ordered_at, suspension.lease_until - now
            ),
            ordered_by=suspension.ordered_by,
            reason=suspension.reason,
        )
        for case in standing
        if (suspension := case.suspension) is not None and suspension.lease_until > now
    )


def _over(
    case: Case, now: float, actor: str, text: str, *, event: str = "suspension-ended"
) -> Step:
    entry = TimelineEntry(at=now, event=event, actor=actor, text=text)
    return step(case, entry, suspension=None)
