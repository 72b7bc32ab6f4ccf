"""Orders: the state that a host's limits should have, and what the limiter says of them.

The controller answers every report with the whole set of limits that the host should hold now.
The agent adds where each tenant lives in the kernel and hands it to the limiter over a local
socket; the limiter answers with what it holds, refuses, and has lifted since. A state is named,
not a step, so a lost message costs nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fairuse_protocol.messages import (
    PROTOCOL_VERSION,
    Allowance,
    Message,
    Resource,
    decode_with,
)


class LimitOrder(Message, omit_defaults=True):
    """Hold this tenant's use of this resource to `allowance` for at most `remaining_seconds`.

    `fair_share` is the floor that `allowance` may not go under. The same `order` comes again in
    every answer, with less time left and perhaps another allowance, for as long as it stands.
    """

    order: str
    tenant: str
    resource: Resource
    allowance: Allowance
    fair_share: Allowance
    remaining_seconds: float


class ReportAnswer(Message, omit_defaults=True):
    """The controller's answer to a report that is now durable."""

    spool: str
    acknowledged_sequence: int
    limits: tuple[LimitOrder, ...] = ()
    protocol: int = PROTOCOL_VERSION


class EnrolRequest(Message):
    """A new host asks for its credential with a one-time token."""

    host: str
    token: str
    protocol: int = PROTOCOL_VERSION


class EnrolAnswer(Message):
    """The host's own credential, told once."""

    host: str
    credential: str


class TenantPlace(Message, omit_defaults=True):
    """Where one tenant lives in this host's kernel.

    `cgroups` are paths below the cgroup mount, starting with "/", the same in every hierarchy;
    `interfaces` are the host's ends of the tenant's links.
    """

    tenant: str
    weight: float
    cgroups: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()


class SetLimits(
    Message, frozen=True, kw_only=True, omit_defaults=True, tag="set-limits", tag_field="request"
):
    """Make these limits, and no others, stand. Sent by the agent after every answer it gets.

    `places` are all tenants present, so that the limiter can work out fair shares by itself.
    `controller_heard_seconds_ago` is how old the orders are: a controller that has been silent
    for too long has its limits lifted. `disks` are the whole disks that disk limits apply to;
    `capacity_*` are the uplink's and the disks' as configured (None: not known).
    """

    orders: tuple[LimitOrder, ...]
    places: tuple[TenantPlace, ...]
    controller_heard_seconds_ago: float
    disks: tuple[str, ...] = ()
    capacity_disk: Allowance | None = None
    capacity_net_in: Allowance | None = None
    capacity_net_out: Allowance | None = None
    protocol: int = PROTOCOL_VERSION


class GetState(Message, tag="get-state", tag_field="request"):
    """What is held now?"""

    protocol: int = PROTOCOL_VERSION


class LiftAll(Message, tag="lift-all", tag_field="request"):
    """Lift everything now."""

    reason: str
    protocol: int = PROTOCOL_VERSION


LimiterRequest = SetLimits | GetState | LiftAll

LiftReason = Literal[
    "lease-ended",
    "withdrawn",
    "controller-silent",
    "limiter-started",
    "limiter-stopped",
    "lift-all",
    "target-gone",
]


class HeldLimit(Message, omit_defaults=True):
    """A limit that stands in the kernel now.

    `way` says how, for a person ("cgroup v1 cpu.cfs_quota_us", "htb", "police", "ifb + htb").
    """

    order: str
    tenant: str
    resource: Resource
    allowance: Allowance
    remaining_seconds: float
    way: str
    targets: tuple[str, ...] = ()


class RefusedLimit(Message):
    """An order that the limiter will not carry out, and why, in words for the operator."""

    order: str
    tenant: str
    resource: Resource
    promise: int | None
    reason: str


class LiftedLimit(Message, omit_defaults=True):
    """A limit that ended. `restored` is False when something else had changed it meanwhile,
    which was then left alone; `detail` says what."""

    order: str
    tenant: str
    resource: Resource
    reason: LiftReason
    lifted_at: float
    restored: bool = True
    detail: str = ""


class LimiterState(
    Message, frozen=True, kw_only=True, omit_defaults=True, tag="state", tag_field="answer"
):
    """What the limiter holds now, refused in the last request, and lifted of late.

    `ways` says which kernel means would be used for each resource on this host.
    """

    held: tuple[HeldLimit, ...] = ()
    refused: tuple[RefusedLimit, ...] = ()
    lifted: tuple[LiftedLimit, ...] = ()
    ways: dict[str, str] = msgspec.field(default_factory=dict)


class LimiterError(Message, tag="error", tag_field="answer"):
    """The request could not be understood or is not allowed; nothing was changed."""

    reason: str


LimiterAnswer = LimiterState | LimiterError

_request_decoder: msgspec.json.Decoder[LimiterRequest] = msgspec.json.Decoder(LimiterRequest)
_answer_decoder: msgspec.json.Decoder[LimiterAnswer] = msgspec.json.Decoder(LimiterAnswer)
_report_answer_decoder = msgspec.json.Decoder(ReportAnswer)

MAX_LOCAL_MESSAGE_BYTES = 4 * 2**20
"""One line on the local socket; 3,000 tenants with ten cgroups each fit several times over."""


def decode_limiter_request(line: bytes) -> LimiterRequest:
    """Decode one line from the local socket, or raise MessageError."""
    return decode_with(_request_decoder, line)


def decode_limiter_answer(line: bytes) -> LimiterAnswer:
    """Decode one line from the limiter, or raise MessageError."""
    return decode_with(_answer_decoder, line)


def decode_report_answer(body: bytes) -> ReportAnswer:
    """Decode the controller's answer to a report, or raise MessageError."""
    return decode_with(_report_answer_decoder, body)


def encode_line(message: Message) -> bytes:
    """One message as one line of JSON, for the local socket."""
    return msgspec.json.encode(message) + b"\n"
