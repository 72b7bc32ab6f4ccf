"""How far a limit goes: where it starts, when it steps down, eases or ends early. Pure.

Figures are in the resource's own unit; `to_allowance` turns them into what a host understands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controller.cases.model import StandingLimit
from controller.fairshare.evidence import Sample
from controller.fairshare.interval import Interval
from controller.fairshare.policy import LimitTerms, Thresholds
from fairuse_protocol.messages import Allowance, Resource

EarlyEnd = Literal["spare-capacity", "does-not-help"]


@dataclass(frozen=True, slots=True)
class Keep:
    """The limit stays as it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """The limit moves to another allowance."""

    allowance: float
    because: Literal["still-harmed", "eased", "fair-share-grew"]


@dataclass(frozen=True, slots=True)
class End:
    """The limit ends before its lease."""

    because: EarlyEnd


def first_allowance(used: float, fair_share: float, terms: LimitTerms) -> float:
    """Where a limit starts: fair share with headroom, or a step down from present use."""
    return max(fair_share * terms.headroom, used * terms.step_down)


def next_allowance(
    limit: StandingLimit,
    samples: Sequence[Sample],
    terms: LimitTerms,
    thresholds: Thresholds,
    *,
    waiting_before: float,
    now: float,
) -> Keep | Change | End:
    """What the neighbours' waiting since the last change asks for."""
    if samples and limit.allowance < samples[-1].fair_share:
        return Change(samples[-1].fair_share, "fair-share-grew")
    recent = since(samples, limit.changed_at)
    if now - limit.changed_at < terms.step_every or not recent:
        return Keep()
    if former_use_fits(limit, recent, thresholds):
        return End("spare-capacity")
    fair_share = recent[-1].fair_share
    if mean_waiting(recent) >= thresholds.harmed_waiting:
        lower = max(fair_share, limit.allowance * terms.step_down)
        if lower < limit.allowance * 0.99:
            return Change(lower, "still-harmed")
        if mean_waiting(recent) > waiting_before * (1 - terms.helps_by):
            return End("does-not-help")
        return Keep()
    higher = min(limit.unlimited_use, limit.allowance * terms.ease)
    return Change(higher, "eased") if higher > limit.allowance * 1.01 else Keep()


def former_use_fits(limit: StandingLimit, recent: Sequence[Sample], thresholds: Thresholds) -> bool:
    """Whether the host could now carry what the tenant used before, without contention.

    Where its capacity is not known, nobody can tell.
    """
    return bool(recent) and all(
        sample.utilisation is not None
        and sample.utilisation * sample.capacity - sample.used + limit.unlimited_use
        <= thresholds.contended_utilisation * sample.capacity
        for sample in recent
    )


def since(samples: Sequence[Sample], start: float) -> list[Sample]:
    """The samples that began at `start` or later."""
    return [sample for sample in samples if sample.ended_at - sample.seconds >= start - 1e-6]


def mean_waiting(samples: Sequence[Sample]) -> float:
    """Mean share of time that harmed neighbours waited; an interval that harmed nobody is 0."""
    seconds = sum(sample.seconds for sample in samples)
    if not seconds:
        return 0.0
    return sum(sample.neighbours_waiting * sample.seconds for sample in samples) / seconds


def to_allowance(resource: Resource, value: float, interval: Interval) -> Allowance:
    """`value` in the resource's own unit as what a host can hold a tenant to."""
    match resource:
        case "cpu":
            return Allowance(cores=value)
        case "net-in" | "net-out":
            return Allowance(bytes_per_second=value)
        case "disk":
            return Allowance(
                bytes_per_second=_part(value, interval.disk_bytes_per_second),
                operations_per_second=_part(value, interval.disk_operations_per_second),
            )


def _part(share: float, whole: float) -> float | None:
    return None if math.isnan(whole) else share * whole
