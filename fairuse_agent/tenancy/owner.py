"""Whose something is, how that is known, and what it makes of the tenant's weight."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

OWN_WEIGHT_RANK = -1
"""The tenant's weight stands in `[weights]`."""
DISCOVERED_RANK = sys.maxsize
"""No rule names the tenant: discovery found it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The tenant that a cgroup or interface belongs to.

    `rank` is the place of the rule that says so. `source` and `why` tell a person where that
    was learned: "tenants[0]", or the kind of discovery and what it read.
    """

    tenant: str
    weight: float
    rank: int
    source: str
    why: str


def weight_of(cgroups: Sequence[Owner], interfaces: Sequence[Owner]) -> float:
    """The weight of the one tenant that owns all of these.

    A rule gives a weight to the tenant, so the first rule's holds. Discovery gives one to each
    guest, so they add up: a project with three guests here has paid for all three.
    """
    first = min((*cgroups, *interfaces), key=lambda owner: owner.rank)
    if first.rank < DISCOVERED_RANK or not cgroups:
        return first.weight
    return sum(owner.weight for owner in cgroups)
