"""How things stand in the fleet, for rollouts and for whoever looks. Data only."""

from __future__ import annotations

from controller.settings import Mode
from fairuse_protocol.messages import Message


class RingLine(Message):
    """How far a part of the fleet may go."""

    name: str
    mode: Mode
    hosts: tuple[str, ...]


class GateAnswer(Message):
    """Whether a rollout may go on: `reasons` say why not, and are empty when it may."""

    at: float
    version: str
    """Of this controller."""
    mode: Mode
    """The furthest that any host goes."""
    paused: bool
    rings: tuple[RingLine, ...]
    hosts: int
    """How many have reported since the controller started."""
    tenants: int
    """How many are on them; one that is on several hosts counts once."""
    held: int
    """How many cases wait for a person."""
    problems: tuple[str, ...]
    """Files that were changed and cannot be used, what could not be looked up, and what stays in
    force meanwhile."""
    reasons: tuple[str, ...]
