"""How one tenant's allowance is divided among its cgroups, interfaces, disks and directions.

In proportion to present use, with a part kept back in equal shares so that what rests now can
start again. The parts always add up to the allowance: a tenant that moves all its use from one
part to another has to wait for the next division, but never gets more than was ordered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from fairuse_agent.limiter.guard import Figures
from fairuse_agent.limiter.kernel.knobs import STREAMS_OF_UNIT, Amounts, Knob

Key = TypeVar("Key")

KEPT_BACK = 0.1
"""The part of an allowance that is shared equally whatever the use."""

WORTH_CHANGING = 0.2
"""A division is only written anew when some part would change by more than this."""


def divide(total: float, use: Mapping[Key, float]) -> dict[Key, float]:
    """`total` over the keys of `use`; equal parts when nothing is used."""
    if not use:
        return {}
    equal, used = 1 / len(use), sum(use.values())
    if used <= 0:
        return dict.fromkeys(use, total * equal)
    return {
        key: total * (KEPT_BACK * equal + (1 - KEPT_BACK) * (value / used))
        for key, value in use.items()
    }


def divide_among(allowance: Figures, use: Mapping[Knob, Amounts]) -> dict[Knob, dict[str, float]]:
    """Each knob's amounts by stream; `use` is what each uses now, per second."""
    parts: dict[Knob, dict[str, float]] = {knob: {} for knob in use}
    for unit, total in allowance.items():
        streams = {
            (knob, stream): rates[stream]
            for knob, rates in use.items()
            for stream in STREAMS_OF_UNIT[unit]
            if stream in rates
        }
        for (knob, stream), part in divide(total, streams).items():
            parts[knob][stream] = part
    return parts


def worth_changing(
    old: Mapping[Knob, Amounts], new: Mapping[Knob, Amounts], *, same_allowance: bool
) -> bool:
    """True when the new division differs enough from the standing one to be written."""
    if not same_allowance or old.keys() != new.keys():
        return True
    return any(
        abs(part - old[knob].get(stream, 0.0)) > WORTH_CHANGING * old[knob].get(stream, 0.0)
        for knob, parts in new.items()
        for stream, part in parts.items()
    )


def used_together(use: Mapping[Knob, Amounts]) -> dict[str, float]:
    """The tenant's whole use per second, by unit."""
    return {
        unit: sum(rates.get(stream, 0.0) for rates in use.values() for stream in streams)
        for unit, streams in STREAMS_OF_UNIT.items()
    }


def rates(
    earlier: Mapping[Knob, Amounts], later: Mapping[Knob, Amounts], seconds: float
) -> dict[Knob, dict[str, float]]:
    """Use per second between two readings, for the knobs in both. A counter that ran backwards
    (it was reset) counts as nothing."""
    return {
        knob: {
            stream: max(0.0, (value - earlier[knob].get(stream, value)) / seconds)
            for stream, value in counters.items()
        }
        for knob, counters in later.items()
        if knob in earlier
    }
