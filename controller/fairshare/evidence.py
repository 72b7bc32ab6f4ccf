"""What a decision rests on: kept with the case, shown to the customer, replayed in tests.

Shares are 0 to 1. `used`, `fair_share` and `capacity` are in the resource's own unit: cores for
`cpu`, bytes per second for `net-in` and `net-out`, and for `disk` the share of what the disks can
do (the larger of bytes and operations).
"""

from __future__ import annotations

from typing import Literal

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


class Sample(Message):
    """One measured interval, as it concerns one tenant and one resource."""

    ended_at: float
    seconds: float
    used: float
    fair_share: float
    capacity: float
    """What the host can deliver; where that is not known, what it did deliver."""
    host_waiting: float | None
    """Share of the interval in which the host's own pressure showed waiting."""
    utilisation: float
    neighbours: int
    neighbours_harmed: int
    neighbours_waiting: float
    """Mean share of the interval that the harmed neighbours waited, 0 if none was harmed."""
    cause_share: float
    """This tenant's part of all use over fair share on the host."""


class Verdict(Message):
    """What the window says of one tenant and resource, with the figures that it rests on.

    Averages are over the measured time, weighted by the intervals' lengths; those of neighbours
    are over the intervals that counted.
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
