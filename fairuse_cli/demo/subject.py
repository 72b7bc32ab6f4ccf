"""The resource that a chapter of the story is about, and how to speak of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairuse_cli.demo.narrator import cores, rate
from fairuse_cli.demo.stage import GREEDY, Load, Stage, UplinkReading, Use, cpu_greed, network_greed
from fairuse_protocol.limits import HeldLimit
from fairuse_protocol.messages import Resource

_HEADERS = 1514 / 1448
"""Ethernet, IP and TCP with time stamps, on a full packet of an MTU of 1,500 bytes."""


@dataclass(frozen=True)
class Subject:
    """One resource."""

    resource: Resource
    words: str
    greed: Callable[[int], Load]
    amount: Callable[[float], str]
    used: Callable[[Use], float]
    """What counts against the limit, as measured from outside."""
    measured_as: str
    has_queue: bool
    """Whether the uplink's queue shows who waits."""

    def shown(self, stage: Stage) -> tuple[str, ...]:
        """What the kernel shows of limits on the greedy tenant."""
        return stage.kernel_shows(GREEDY, self.resource)


CPU = Subject(
    resource="cpu",
    words="the CPU",
    greed=cpu_greed,
    amount=cores,
    used=lambda use: use.cores,
    measured_as="CPU time of its cgroup",
    has_queue=False,
)
NETWORK = Subject(
    resource="net-out",
    words="the uplink",
    greed=network_greed,
    amount=rate,
    used=lambda use: use.goodput * _HEADERS,
    measured_as="TCP goodput plus headers",
    has_queue=True,
)


def ordered(held: HeldLimit) -> float:
    """What the limit allows, in cores or bytes per second."""
    allowance = held.allowance
    return allowance.cores or allowance.bytes_per_second or 0.0


def delayed_share(before: UplinkReading, now: UplinkReading) -> float:
    """How often the uplink held a packet back, a packet."""
    packets = now.packets - before.packets
    return (now.delayed - before.delayed) / packets if packets else 0.0
