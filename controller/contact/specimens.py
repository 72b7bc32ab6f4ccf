"""Made-up letters of every kind, to try a provider's templates on before a customer gets one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import get_args

import msgspec

from controller.cases.model import (
    Case,
    Closing,
    CustomerRequest,
    DisputeDecision,
    Effect,
    NoticeDocument,
    NoticeKind,
    RequestKind,
    StandingLimit,
)
from controller.contact.announcements import (
    PolicyChange,
    render_agreement_end,
    render_policy_change,
)
from controller.contact.notice import NoticeTerms, Queued, RenderedNotice, render
from controller.fairshare.agreement import Agreement, AgreementKind
from controller.fairshare.evidence import Sample, Verdict
from controller.fairshare.policy import LimitTerms, Policy
from controller.settings import Mode
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration

_AT = 1.8e9
_HOUR = 3600.0


def every_letter(contact: TenantContact, terms: NoticeTerms) -> Iterator[RenderedNotice]:
    """Every kind of letter, in each way that a template may have to tell apart."""
    for mode in ("contact", "enforce"):
        for about in _cases():
            for kind in _kinds_about(about):
                yield render([_queued(kind, about, mode)], contact, terms, written_at=_AT)
    several = [
        msgspec.structs.replace(_case(), id=f"specimen-{number}", host=f"host-{number}")
        for number in (1, 2)
    ]
    together = [_queued("first-notice", about, "enforce") for about in several]
    yield render(together, contact, terms, written_at=_AT)
    policy = terms.policy_for(_case())
    yield from _announcements(policy, contact, terms)


def _announcements(
    policy: Policy, contact: TenantContact, terms: NoticeTerms
) -> Iterator[RenderedNotice]:
    after = msgspec.structs.replace(
        policy,
        version="next",
        clause=policy.clause and "What others wait for is shared.",
        announced=dt.date(2027, 1, 1),
        effective=dt.date(2027, 3, 1),
        notice_period=Duration(0),
        former_version_for=Duration(86400),
        limit=LimitTerms(lease=Duration(120), step_every=Duration(60), headroom=2.0),
    )
    for change in (after, msgspec.structs.replace(after, former_version_for=Duration(0))):
        letter = PolicyChange("specimen", policy, change)
        yield render_policy_change("specimen", _AT, letter, contact, terms)
    for kind in get_args(AgreementKind):
        agreement = _agreement(kind)
        for at in (agreement.ends_at - _HOUR, agreement.ends_at):
            yield render_agreement_end("specimen", at, agreement, policy, contact, terms)


def _cases() -> Iterator[Case]:
    """A case at each point of its life at which something is written."""
    case = _case()
    yield case
    notified = msgspec.structs.replace(
        case, state="notified", notice_accepted_at=_AT, deadline=_AT + _HOUR
    )
    yield notified
    for request in _decided_requests():
        yield msgspec.structs.replace(notified, requests=(request,))
    decision = DisputeDecision(decided_at=_AT, decided_by="otto", answer="It is as we wrote.")
    yield msgspec.structs.replace(notified, answers=("dispute",), dispute_decision=decision)
    yield msgspec.structs.replace(notified, state="limited", limit=_limit())
    for closing in get_args(Closing):
        yield msgspec.structs.replace(
            notified,
            state="closed",
            closing=closing,
            closed_at=_AT + _HOUR,
            effect=Effect(before=0.3, during=0.1, after=0.0),
        )
    yield msgspec.structs.replace(notified, state="held", held_because="a specimen")


def _decided_requests() -> Iterator[CustomerRequest]:
    for kind in get_args(RequestKind):
        request = CustomerRequest(
            kind=kind, asked_at=_AT, until=_AT + _HOUR, decided_at=_AT, decided_by="otto"
        )
        yield msgspec.structs.replace(request, state="granted", answer="Good luck.")
        yield msgspec.structs.replace(request, state="refused")
    yield msgspec.structs.replace(
        request, kind="agreement", state="granted", granted_until=_AT, granted_share=0.5
    )


def _kinds_about(case: Case) -> tuple[NoticeKind, ...]:
    if case.requests or case.dispute_decision:
        return ("decision",)
    match case.state:
        case "watching":
            return ("first-notice",)
        case "notified":
            return ("reminder", "limit-ended")
        case "limited":
            return ("limit-started",)
        case "held":
            return ("limit-ended",)
        case "closed":
            return ("limit-ended", "closed")


def _queued(kind: NoticeKind, case: Case, mode: Mode) -> Queued:
    limit = case.limit or (_limit() if kind == "limit-ended" else None)
    return Queued("specimen", kind, _AT, NoticeDocument(case=case, limit=limit, mode=mode))


def _case() -> Case:
    sample = Sample(
        ended_at=_AT,
        seconds=60.0,
        used=6.0,
        fair_share=1.5,
        capacity=8.0,
        host_waiting=0.3,
        utilisation=0.9,
        neighbours=5,
        neighbours_harmed=3,
        neighbours_waiting=0.3,
        cause_share=0.9,
    )
    verdict = Verdict(
        outcome="disproportionate",
        resource="cpu",
        decided_at=_AT,
        window_seconds=60.0,
        measured_seconds=60.0,
        counted_seconds=60.0,
        average_used=sample.used,
        average_fair_share=sample.fair_share,
        capacity=sample.capacity,
        ratio=4.0,
        neighbours=sample.neighbours,
        neighbours_harmed=sample.neighbours_harmed,
        neighbours_waiting=sample.neighbours_waiting,
        samples=(sample,),
    )
    return Case(
        id="specimen",
        host="host-1",
        tenant="specimen",
        resource="cpu",
        state="watching",
        severity="high",
        opened_at=_AT,
        version=1,
        verdict=verdict,
        rule={},
        last_disproportionate_at=_AT,
    )


def _limit() -> StandingLimit:
    return StandingLimit(
        order="specimen",
        allowance=3.0,
        fair_share=1.5,
        unlimited_use=6.0,
        ordered_at=_AT - 600,
        changed_at=_AT - 600,
        lease_until=_AT + 300,
        confirmed_at=_AT - 590,
    )


def _agreement(kind: AgreementKind) -> Agreement:
    return Agreement(
        id="specimen",
        tenant="specimen",
        kind=kind,
        begins_at=_AT - _HOUR,
        ends_at=_AT,
        agreed_with="A. Specimen",
        recorded_by="specimen",
        recorded_at=_AT - _HOUR,
        resource="cpu",
        share=0.5 if kind == "share" else None,
    )
