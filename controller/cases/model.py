"""A case, what can happen to it, and what a step asks to be done. Data only."""

from __future__ import annotations

from typing import Literal

from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import KeptRule, Severity
from controller.settings import Mode
from fairuse_protocol.messages import Allowance, Message, Resource

State = Literal["watching", "notified", "limited", "held", "closed"]
OPEN_STATES: tuple[State, ...] = ("watching", "notified", "limited", "held")
PAST_ANSWERING: tuple[State, ...] = ("limited", "held", "closed")
"""What a first notice or a reminder tells of time to answer is not so any more."""

Closing = Literal["subsided", "resolved", "agreed", "dismissed", "relieved"]
NoticeKind = Literal[
    "first-notice", "reminder", "decision", "limit-started", "limit-ended", "closed"
]
NoLimit = Literal["not-promised", "promised", "withdrawn"]
"""Whether a customer was told that nothing is limited automatically, as letters say where nobody is
limited yet, and whether a later one took that back."""
AnnouncementKind = Literal["policy-change", "agreement-ending", "agreement-ended"]
AnswerKind = Literal["acknowledge", "more-time", "solved", "dispute"]
RequestKind = Literal["more-time", "agreement", "load-test"]
RequestState = Literal["waiting", "granted", "refused"]


class Effect(Message):
    """Neighbours' waiting around a limit: the proof that it helped, or did not."""

    before: float
    during: float | None = None
    after: float | None = None


class StandingLimit(Message):
    """The limit that a case has ordered."""

    order: str
    allowance: float
    """In the resource's own unit, as in evidence (disk: share of what the disks can do)."""
    fair_share: float
    unlimited_use: float
    """What was used before it."""
    ordered_at: float
    changed_at: float
    lease_until: float
    first_allowance: float | None = None
    """Where it has been changed since."""
    confirmed_at: float | None = None
    """When its host first said that it stands."""


class Suspension(Message):
    """An operator's order to freeze the tenant, at most until `lease_until`."""

    order: str
    ordered_by: str
    reason: str
    ordered_at: float
    lease_until: float
    confirmed_at: float | None = None
    """When its host first said that the tenant is frozen."""


class CustomerRequest(Message):
    """What the customer asks for that only an operator can grant."""

    kind: RequestKind
    asked_at: float
    until: float
    """more-time: no limit before this. agreement, load-test: when it is to end."""
    begins_at: float | None = None
    """Of a load test only."""
    asked_by: str = ""
    """Who asks, in their own words: with whom an agreement would be."""
    note: str = ""
    state: RequestState = "waiting"
    decided_at: float | None = None
    decided_by: str = ""
    answer: str = ""
    """What the operator said to it; the customer reads it."""
    agreement: str = ""
    """The id of the agreement that came of it."""
    granted_until: float | None = None
    """Where that is not as asked."""
    granted_share: float | None = None
    """Of the host, by an agreement that is not an exemption."""


class DisputeDecision(Message):
    """What an operator said to the customer's dispute: the case goes on."""

    decided_at: float
    decided_by: str
    answer: str
    """The customer reads it."""


class Case(Message):
    """One tenant on one host with one resource. A new value is made for every step."""

    id: str
    host: str
    tenant: str
    resource: Resource
    state: State
    severity: Severity
    opened_at: float
    version: int
    """Counts the steps; a step based on an older version is not stored."""
    verdict: Verdict
    """The evidence that opened it."""
    rule: KeptRule
    """The rule that the evidence was judged by (promise 9)."""
    last_disproportionate_at: float
    """Kept up to date in memory only: after a restart it starts from then."""
    notice: str = ""
    """The id of its first notice, once queued."""
    notice_accepted_at: float | None = None
    no_limit: NoLimit = "not-promised"
    deadline: float | None = None
    """No limit before this, unless an operator orders it."""
    reminders: int = 0
    """How many were queued."""
    reminded_of: float | None = None
    """The deadline that the last of them was about."""
    answers: tuple[AnswerKind, ...] = ()
    solved_at: float | None = None
    """When the customer said so, until that has been checked."""
    requests: tuple[CustomerRequest, ...] = ()
    """In the order in which they were made."""
    dispute_decision: DisputeDecision | None = None
    replied_at: float | None = None
    """When a person last wrote about it by mail."""
    held_because: str = ""
    limit: StandingLimit | None = None
    suspension: Suspension | None = None
    effect: Effect | None = None
    repeat_of: str = ""
    closed_at: float | None = None
    closing: Closing | None = None

    @property
    def waiting_requests(self) -> tuple[CustomerRequest, ...]:
        """Those that nobody has decided yet."""
        return tuple(each for each in self.requests if each.state == "waiting")

    @property
    def last_decided_request(self) -> CustomerRequest | None:
        """The one that an operator granted or refused last."""
        decided = [(each.decided_at, each) for each in self.requests if each.decided_at is not None]
        return max(decided, key=lambda each: each[0])[1] if decided else None

    @property
    def is_disputed(self) -> bool:
        """Whether the customer disputes it, and nobody has decided that yet."""
        return "dispute" in self.answers and self.dispute_decision is None

    @property
    def is_erased(self) -> bool:
        """Whether it says no more whose it was."""
        return not self.tenant


class TimelineEntry(Message):
    """One line of a case's history, for people."""

    at: float
    event: str
    """A short name: "opened", "notice-accepted", "answered", "limit-started", ..."""
    actor: str
    """Who: "rule", "clock", "customer", "mail", "limiter", or an operator's name."""
    text: str


class QueueNotice(Message):
    """Write to the customer. Stored in the outbox with the step that asks for it."""

    id: str
    kind: NoticeKind


class OrderLimit(Message):
    """Order a limit, or another allowance for the one that stands."""

    order: str
    allowance: Allowance
    fair_share: Allowance
    lease_until: float
    notice: str | None
    ordered_by: str | None
    reason: str
    evidence: Verdict
    rule: KeptRule


class EndLimit(Message):
    """Stop ordering the limit."""

    order: str
    reason: str


Action = QueueNotice | OrderLimit | EndLimit


class Step(Message):
    """The outcome of a transition: the case as it is now, its history's lines, what to do."""

    case: Case
    entries: tuple[TimelineEntry, ...]
    actions: tuple[Action, ...] = ()


class NoticeDocument(Message):
    """What a queued notice is about, as things stood when it was decided: the outbox's content."""

    case: Case
    limit: StandingLimit | None
    """The limit that stands, or that has just ended."""
    mode: Mode


class EarlierAllowance(Message):
    """What an order allowed before it was changed."""

    allowance: Allowance
    until: float


class OrderDocument(Message):
    """What an order in the store says besides its columns."""

    allowance: Allowance
    fair_share: Allowance
    evidence: Verdict
    """What the order, or its last change, rested on, and the rule that judged it (promise 9)."""
    rule: KeptRule
    earlier: tuple[EarlierAllowance, ...] = ()
    """Oldest first."""
