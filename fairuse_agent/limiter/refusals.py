"""What is told of an order that is not carried out."""

from __future__ import annotations

import logging

from fairuse_agent.limiter.guard import Refusal
from fairuse_agent.limiter.kernel.knobs import Gone, KernelError, Refused
from fairuse_protocol.limits import LimitOrder, RefusedLimit, SuspendOrder

log = logging.getLogger(__name__)


def told(order: LimitOrder | SuspendOrder, refusal: Refusal) -> RefusedLimit:
    """A refusal, as the agent and the controller get it."""
    return RefusedLimit(
        order=order.order,
        tenant=order.tenant,
        resource=order.resource,
        promise=refusal.promise,
        reason=refusal.reason,
    )


def trouble(order: LimitOrder | SuspendOrder, error: Exception) -> Refusal:
    """Why an order cannot be carried out; what nobody foresaw is logged with its traceback."""
    if isinstance(error, Refused):
        return Refusal(error.promise, str(error))
    if isinstance(error, Gone | KernelError):
        return Refusal(None, str(error))
    log.error("order %s: %s", order.order, error, exc_info=error)
    return Refusal(None, f"{type(error).__name__}: {error}")
