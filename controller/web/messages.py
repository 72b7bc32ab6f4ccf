"""What the operators' API takes and answers. Data only, so that the command line can read it too.

`at` is the controller's time of the answer, in seconds since the epoch, UTC, as are all other
times: what is left of a lease or until a deadline is the difference to it, whatever the reader's
own clock says. Amounts are in the resource's own unit: cores for `cpu`, bytes per second for
`net-in` and `net-out`, and for `disk` the share of what the disks can do.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from controller.cases.model import (
    AnnouncementKind,
    Case,
    Closing,
    RequestKind,
    StandingLimit,
    State,
    TimelineEntry,
)
from controller.cases.views import HostView, ResourceView, TenantView
from controller.fairshare.agreement import Agreement, Moment
from controller.fairshare.policy import Severity
from controller.storage.chain import Finding
from controller.storage.told import DeliveryTry, ReturnedMail
from fairuse_protocol.messages import Message, Resource
from fairuse_protocol.reports import PressureSource

MAX_LISTED = 1000

Limit = Annotated[
    int, Meta(ge=1, le=MAX_LISTED, description=f"How many at most, 1 to {MAX_LISTED}.")
]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        pattern=r"\S",
        description="Why, in words for the case's history. Not empty.",
    ),
]


class HostQuery(Message):
    """Which hosts to list."""

    limit: Limit = 100


class TenantQuery(Message):
    """Which tenants to list."""

    host: Annotated[str, Meta(description="Only tenants of this host.")] | None = None
    limit: Limit = 100


class CaseQuery(Message):
    """Which cases to list. What is given has to match exactly."""

    state: Annotated[State, Meta(description="Only cases in this state.")] | None = None
    host: Annotated[str, Meta(description="Only cases on this host.")] | None = None
    tenant: Annotated[str, Meta(description="Only cases of this tenant.")] | None = None
    limit: Limit = 100


class AuditQuery(Message):
    """A link that was noted before, and has to be in the chain still."""

    link: (
        Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits.")] | None
    ) = None


class AuditFault(Message):
    """A place where the chain of histories does not hold; "link-not-found" has no place."""

    finding: Finding
    line: int | None
    case: str
    written_at: float | None


class AuditAnswer(Message):
    """What an audit of all cases' histories found. `link` is the newest."""

    at: float
    lines: int
    erased: int
    """Of these, those whose text was erased with their case, as the case tells."""
    link: str
    faults: tuple[AuditFault, ...]
    """The first hundred."""


class ReasonRequest(Message):
    """An operator says why. The name is taken from the token."""

    reason: Reason


class SuspendRequest(Message):
    """An operator says why, and for how long at most."""

    reason: Reason
    seconds: Annotated[float, Meta(gt=0, le=600)]


class RefuseRequest(Message):
    """An operator says no to what the customer asks for in a case."""

    reason: Annotated[Reason, Meta(description="Why, in words that the customer reads.")]
    request: (
        Annotated[RequestKind, Meta(description="Which, when more than one is waiting.")] | None
    ) = None


class GrantRequest(RefuseRequest):
    """An operator says yes. For an agreement, share or exempt says to what."""

    ends_at: Annotated[Moment, Meta(description="Until then, and not as asked.")] | None = None
    share: (
        Annotated[float, Meta(gt=0, le=1, description="Of the host, for an agreement.")] | None
    ) = None
    exempt: Annotated[bool, Meta(description="For an agreement: no case at all.")] = False


class HostLine(Message):
    """One host in a list: as its last report showed it, without its tenants."""

    host: str
    last_report_at: float
    interval_seconds: float
    pressure_source: PressureSource
    tenants: int
    """How many are present."""
    limits_held: int | None
    """How many limits its limiter holds; None: the agent had no limiter to ask."""
    resources: tuple[ResourceView, ...]
    notes: tuple[str, ...]
    lost_reports: int


class HostList(Message):
    """Hosts that have reported, those heard from last first."""

    at: float
    hosts: tuple[HostLine, ...]


class HostAnswer(Message):
    """One host with everything that its last report showed."""

    at: float
    host: HostView


class TenantList(Message):
    """Tenants, one entry for each host that they are on. Those that use most of what is their
    fair share, of any resource, come first."""

    at: float
    tenants: tuple[TenantView, ...]


class CaseLine(Message):
    """One case in a list, without the evidence's samples."""

    id: str
    host: str
    tenant: str
    resource: Resource
    state: State
    severity: Severity
    ratio: float
    """Average use over fair share when the case was opened."""
    sentence: str
    opened_at: float
    deadline: float | None
    held_because: str
    limit: StandingLimit | None
    closed_at: float | None
    closing: Closing | None
    requests: tuple[RequestKind, ...] = ()
    """What the customer asks for, and nobody has decided yet."""
    replied_at: float | None = None
    """When the customer last wrote by mail."""
    being_written_to: bool = False
    """Whether its first notice waits to be sent: for others to join, for the end of a quiet time,
    or for a mail server."""


class CaseList(Message):
    """Cases, newest first."""

    at: float
    cases: tuple[CaseLine, ...]


class TenantAnswer(Message):
    """One tenant: every host that it is on, and its cases, newest first."""

    at: float
    tenant: str
    places: tuple[TenantView, ...]
    cases: tuple[CaseLine, ...]


class Notice(Message):
    """A message to the customer. `answer` is what the channel said when it was last tried.

    It goes out in `letter`, which has the id of the first notice in it and may hold others about
    the same tenant; None: not decided yet. `deliveries` are the tries of that letter."""

    id: str
    kind: str
    queued_at: float
    tries: int
    next_try_at: float | None
    accepted_at: float | None
    failed_at: float | None
    channel: str | None
    answer: str
    letter: str | None
    deliveries: tuple[DeliveryTry, ...]


class StandingOrder(Message):
    """The limit that the host is told to hold, and on what grounds: an accepted notice, or an
    operator by name."""

    id: str
    issued_at: float
    lease_until: float
    allowance: float
    fair_share: float
    notice: str | None
    ordered_by: str | None
    reason: str


class CaseAnswer(Message):
    """One case with all that is known of it: the sentence that sums it up, the evidence that it
    rests on (`case.verdict`), what happened, what was written, and the limit that stands."""

    at: float
    sentence: str
    case: Case
    timeline: tuple[TimelineEntry, ...]
    notices: tuple[Notice, ...]
    mails: tuple[ReturnedMail, ...]
    """What came back by mail, oldest first, with its whole text."""
    order: StandingOrder | None
    agreements: tuple[Agreement, ...]
    """Those with the tenant that are in force on the host now, whatever the resource."""


class AgreementQuery(Message):
    """Which agreements to list."""

    tenant: Annotated[str, Meta(description="Only those with this tenant.")] | None = None
    limit: Limit = 100


class AgreementList(Message):
    """Agreements, those that are over too, the last recorded first."""

    at: float
    agreements: tuple[Agreement, ...]


class AgreementAnswer(Message):
    """One agreement as it is recorded now."""

    at: float
    agreement: Agreement


class AnnouncementQuery(Message):
    """Which announcements to list."""

    tenant: Annotated[str, Meta(description="Only to this tenant.")] | None = None
    limit: Limit = 100


class AnnouncementLine(Message):
    """A letter that is about no case. `about` is a policy's version or an agreement's id, `answer`
    what the channels said when it was last tried."""

    id: str
    tenant: str
    kind: AnnouncementKind
    about: str
    queued_at: float
    tries: int
    next_try_at: float | None
    accepted_at: float | None
    failed_at: float | None
    channel: str | None
    answer: str


class AnnouncementList(Message):
    """Announcements, the last queued first."""

    at: float
    announcements: tuple[AnnouncementLine, ...]


class ForgottenAnswer(Message):
    """What was erased of a tenant."""

    at: float
    tenant: str
    cases: int
    others: int
    """Agreements, habits and announcements."""


class EnrolmentTokenRequest(Message):
    """A host is to be enrolled."""

    host: Annotated[str, Meta(min_length=1, max_length=253, description="The host's name.")]


class EnrolmentTokenAnswer(Message):
    """What the host's agent enrols with, once. It is not shown again."""

    host: str
    token: str
    expires_at: float


class PauseAnswer(Message):
    """Whether enforcement is paused: while it is, no limit stands or starts on any host."""

    at: float
    paused: bool


def host_line(view: HostView) -> HostLine:
    """A host's view without its tenants, which may be thousands."""
    return HostLine(
        host=view.host,
        last_report_at=view.last_report_at,
        interval_seconds=view.interval_seconds,
        pressure_source=view.pressure_source,
        tenants=len(view.tenants),
        limits_held=None if view.limiter is None else len(view.limiter.held),
        resources=view.resources,
        notes=view.notes,
        lost_reports=view.lost_reports,
    )


def case_line(case: Case, sentence: str) -> CaseLine:
    """A case without its samples, and with the sentence that sums them up."""
    return CaseLine(
        id=case.id,
        host=case.host,
        tenant=case.tenant,
        resource=case.resource,
        state=case.state,
        severity=case.severity,
        ratio=case.verdict.ratio,
        sentence=sentence,
        opened_at=case.opened_at,
        deadline=case.deadline,
        held_because=case.held_because,
        limit=case.limit,
        closed_at=case.closed_at,
        closing=case.closing,
        requests=tuple(request.kind for request in case.waiting_requests),
        replied_at=case.replied_at,
        being_written_to=case.state == "watching" and bool(case.notice),
    )


def heaviest(view: TenantView) -> tuple[float, Resource | None]:
    """The tenant's largest use over its fair share, and of which resource that is."""
    heaviest_ratio: float = 0.0
    heaviest_resource: Resource | None = None
    for resource, used in view.used.items():
        fair_share = view.fair_share.get(resource, 0.0)
        if fair_share > 0 and used / fair_share > heaviest_ratio:
            heaviest_ratio, heaviest_resource = used / fair_share, resource
    return heaviest_ratio, heaviest_resource
