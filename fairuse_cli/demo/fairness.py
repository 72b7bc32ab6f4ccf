"""How a machine divides what is asked of it: the arithmetic of the simulated kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping


def max_min_fair(demands: Mapping[str, float], capacity: float) -> dict[str, float]:
    """What each gets: nobody more than it asks for, and what the small leave the large divide.

    Demands may be infinite. All weights are equal, as in the demo.
    """
    given: dict[str, float] = {}
    left = capacity
    for place, name in enumerate(sorted(demands, key=lambda name: demands[name])):
        given[name] = min(demands[name], left / (len(demands) - place))
        left -= given[name]
    return given


def waiting(demands: Mapping[str, float], capacity: float) -> dict[str, float]:
    """The share of time that somebody of each waits, in a machine of `capacity` cores.

    A task that wants to run finds all cores taken as often as work is left undone; a tenant
    notices for as long as it has a task that wants to run. A coarse model: the true figure
    depends on the scheduler.
    """
    wanted = sum(demands.values())
    undone = max(0.0, 1 - capacity / wanted) if wanted else 0.0
    return {name: undone * min(1.0, demand) for name, demand in demands.items()}


def quota_text(limit: float) -> str:
    """The simulated quota file: microseconds in 100 milliseconds, or none."""
    return "-1" if math.isinf(limit) else f"{limit * 100_000:.0f}"
