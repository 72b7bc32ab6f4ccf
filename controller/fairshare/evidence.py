"""What a decision rests on: kept with the case, shown to the customer, replayed in tests.

Shares are 0 to 1. `used`, `fair_share` and `capacity` are in the resource's own unit: cores for
`cpu`, bytes per second for `net-in` and `net-out`, and for `disk` the share of what the disks can
do (the larger of bytes and operations).
"""

from __future__ import annotations

from typing import Literal, get_args

from fairuse_protocol.messages import Message, Resource

Outcome = Literal[
    "disproportionate",
    "nobody-harmed",
    "not-contended",
    "within-share",
    "not-the-cause",
    "not-sustained",
    "not-measured",
    "agreed",
    "consented-test",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Exemption = Literal["none", "agreed", "consented-test"]
EXEMPTIONS: tuple[Exemption, ...] = get_args(Exemption)


class Sample(Message):
    """One measured interval, as it concerns one tenant and one resource."""

    ended_at: float
    seconds: float
    used: float
    fair_share: float
    capacity: float
    """What the host can deliver; where that is not known, the most that it was seen to deliver."""
    host_waiting: float | None
    """Share of the interval in which the host's own pressure showed waiting."""
    utilisation: float | None
    """Share of the capacity that was in use by everybody; None where it is not known."""
    neighbours: int
    neighbours_harmed: int
    neighbours_waiting: float
    """Mean share of the interval that the harmed neighbours waited, 0 if none was harmed."""
    cause_share: float
    """This tenant's part of all use over fair share on the host."""
    near_peak: float = 1.0
    """What the host delivered, as a share of the most that it had been seen to deliver."""
    causes: int = 1
    """How many tenants were as much a cause as the policy asks for."""
    capacity_known: bool = True
    exempt: Exemption = "none"
    """What an agreement said of this tenant and resource at that time."""
    agreed_share: float = 0.0
    """Of the host, what an agreement let the tenant use then; `fair_share` is no less."""


class Verdict(Message):
    """What the window says of one tenant and resource, with the figures that it rests on.

    Averages are over the measured time, weighted by the intervals' lengths; those of neighbours
    and causes are over the intervals that counted.
    """

    outcome: Outcome
    resource: Resource
    decided_at: float
    window_seconds: float
    measured_seconds: float
    counted_seconds: float
    average_used: float
    average_fair_share: float
    capacity: float
    ratio: float
    neighbours: int
    neighbours_harmed: int
    neighbours_waiting: float
    samples: tuple[Sample, ...]
    utilisation: float | None = None
    causes: int = 1
    capacity_known: bool = True
    usual_used: float | None = None
    """What the tenant uses as a rule at this hour of the week, where that has been learnt."""
