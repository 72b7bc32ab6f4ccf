"""The keeper makes the host's limits what the last orders say, within the promises.

It knows no sockets and no threads: whoever runs it calls `start` once, `set_limits`, `lift_all`
and `state` on request, and `tick` whenever `next_due` has come, all from one thread.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

import msgspec

from fairuse_agent.limiter import division, guard, leases
from fairuse_agent.limiter.applying import Standing, StandingLimits
from fairuse_agent.limiter.changes import Changes
from fairuse_agent.limiter.guard import Refusal
from fairuse_agent.limiter.journal import Journal
from fairuse_agent.limiter.kernel.knobs import Gone, Kernel, KernelError, Knob, Refused
from fairuse_agent.limiter.leases import Clock
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import (
    HeldLimit,
    LiftedLimit,
    LiftReason,
    LimiterState,
    LimitOrder,
    RefusedLimit,
    SetLimits,
    TenantPlace,
)
from fairuse_protocol.messages import Allowance

log = logging.getLogger(__name__)

LIFTED_REMEMBERED = 100
RETRY_SECONDS = 1.0
"""How soon a lift that the kernel did not take is tried again."""


@dataclass
class Proof:
    """A tenant's use while the limiter looks for itself whether it is over its fair share."""

    order: LimitOrder
    request: SetLimits
    counters: dict[Knob, dict[str, float]]
    started_at: float


@dataclass
class _Request:
    """What the last SetLimits said, and what of it was refused."""

    present: list[TenantPlace] = field(default_factory=list)
    refused: dict[str, RefusedLimit] = field(default_factory=dict)
