"""An operator's suspensions: a tenant's groups are frozen, briefly, by name and with a reason.

A suspension stands among the limits and ends as they do: at its lease, when it is withdrawn,
when the controller is silent, when the limiter starts or stops. It is not proven first, because
it rests on a person's word and not on the tenant's use.
"""

from __future__ import annotations

from fairuse_agent.limiter import guard
from fairuse_agent.limiter.guard import LONGEST_NAME, Refusal
from fairuse_agent.limiter.kernel.knobs import Kernel
from fairuse_agent.limiter.standing import StandingLimits
from fairuse_protocol.limits import HeldSuspension, SuspendOrder, TenantPlace

LONGEST_REASON = 2000
"""Characters."""


def judge(order: SuspendOrder) -> Refusal | None:
    """Nothing harsher than a limit happens without an operator, by name and with a reason."""
    for field, text, most in (
        ("order", order.order, LONGEST_NAME),
        ("tenant", order.tenant, LONGEST_NAME),
        ("ordered_by", order.ordered_by.strip(), LONGEST_NAME),
        ("reason", order.reason.strip(), LONGEST_REASON),
    ):
        if not 0 < len(text) <= most:
            return Refusal(1, f"{field}: expected 1 to {most} characters, found {len(text)}")
    return None


def suspend(
    order: SuspendOrder,
    kernel: Kernel,
    limits: StandingLimits,
    present: list[TenantPlace],
    *,
    standing: int,
    max_limits: int,
) -> Refusal | None:
    """Freeze what the tenant has now, all of it or nothing. Raises what the kernel raises."""
    place = next((place for place in present if place.tenant == order.tenant), None)
    knobs = kernel.knobs("suspension", place, ()) if place is not None else []
    if order.order in limits.held:
        return limits.keep_suspended(order, knobs)
    refusal = guard.judge_count(standing, max_limits)
    if refusal is None and not knobs:
        refusal = Refusal(None, f"no cgroup of tenant {order.tenant} is in the kernel now")
    return refusal or limits.suspend(order, knobs)


def told(limits: StandingLimits, remaining: dict[str, float]) -> tuple[HeldSuspension, ...]:
    """The suspensions that stand; `remaining` is in seconds by order."""
    return tuple(
        HeldSuspension(
            order=name,
            tenant=standing.order.tenant,
            remaining_seconds=remaining[name],
            ordered_by=standing.order.ordered_by,
            reason=standing.order.reason,
            targets=tuple(knob.target for knob in standing.parts),
        )
        for name, standing in limits.held.items()
        if isinstance(standing.order, SuspendOrder) and standing.parts
    )
