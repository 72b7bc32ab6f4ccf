"""Every kind of letter, written about the samples."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from controller.cases.model import (
    CustomerRequest,
    DisputeDecision,
    Effect,
    NoticeDocument,
    NoticeKind,
)
from controller.contact.announcements import (
    PolicyChange,
    render_agreement_end,
    render_policy_change,
)
from controller.contact.notice import Queued, RenderedNotice, render
from controller.fairshare.agreement import Agreement
from controller.fairshare.policy import LimitTerms, Policy, Severities, SeverityStep
from controller.tenants import TenantContact
from fairuse_protocol.messages import Resource
from fairuse_protocol.units import Duration
from tests.contact import samples

HOUR = 3600.0
LATER = samples.NOW + 5 * HOUR


def anna(language: str = "en", time_zone: str = "") -> TenantContact:
    return TenantContact(name="Anna", language=language, time_zone=time_zone)


def changes_for(kind: NoticeKind, resource: Resource) -> dict[str, Any]:
    """What the case is by the time that such a notice is queued."""
    accepted = {"notice_accepted_at": samples.NOW + 4, "deadline": samples.NOW + 4 * HOUR}
    match kind:
        case "first-notice":
            return {}
        case "reminder":
            return {"state": "notified", **accepted}
        case "decision":
            return {"state": "notified", "requests": (decided_request(),), **accepted}
        case "limit-started":
            return {"state": "limited", "limit": samples.limit(resource), **accepted}
        case "limit-ended" | "closed":
            return {
                "state": "closed",
                "closing": "relieved" if kind == "limit-ended" else "subsided",
                "closed_at": LATER,
                "effect": Effect(before=0.23, during=0.04) if kind == "limit-ended" else None,
                **accepted,
            }


def decided_request(**more: Any) -> CustomerRequest:
    """Asked for an hour after the letter, and granted an hour after that."""
    fields: dict[str, Any] = {
        "kind": "agreement",
        "asked_at": samples.NOW + HOUR,
        "until": samples.NOW + 30 * 86400,
        "asked_by": "Anna Holm",
        "state": "granted",
        "decided_at": samples.NOW + 2 * HOUR,
        "decided_by": "ole",
        "answer": "You are moving to a larger plan in December, so this will do until then.",
        "granted_share": 0.4,
        **more,
    }
    return CustomerRequest(**fields)


QUEUED_AT: dict[NoticeKind, float] = {
    "first-notice": samples.NOW,
    "reminder": samples.NOW + 3 * HOUR,
    "decision": samples.NOW + 2 * HOUR,
    "limit-started": samples.NOW + 4 * HOUR + 10,
    "limit-ended": samples.NOW + 4 * HOUR + 900,
    "closed": LATER,
}


def rendered(kind: NoticeKind, resource: Resource = "cpu", **more: Any) -> RenderedNotice:
    """The letter about one case; what is not the letter's own changes the case."""
    mode = more.pop("mode", "enforce")
    contact = more.pop("contact", anna())
    terms = more.pop("terms", samples.terms())
    written_at = more.pop("written_at", QUEUED_AT[kind])
    about = samples.case(resource, **{**changes_for(kind, resource), **more})
    limit = about.limit or (samples.limit(resource) if kind == "limit-ended" else None)
    document = NoticeDocument(case=about, limit=limit, mode=mode)
    queued = Queued(f"{about.id}-9-{kind}", kind, QUEUED_AT[kind], document)
    return render([queued], contact, terms, written_at=written_at)


def grouped(contact: TenantContact, **more: Any) -> RenderedNotice:
    """First notices about three cases of one tenant."""
    terms = more.pop("terms", samples.terms())
    abouts = [
        samples.case(**more),
        samples.case("disk", id="c2", notice="c2-2-first-notice", severity="low", **more),
        samples.case(id="c3", notice="c3-2-first-notice", host="node-18", **more),
    ]
    queued = [
        Queued(
            each.notice,
            "first-notice",
            samples.NOW,
            NoticeDocument(case=each, limit=None, mode="enforce"),
        )
        for each in abouts
    ]
    return render(queued, contact, terms, written_at=samples.NOW)


def policy_change(contact: TenantContact, **more: Any) -> RenderedNotice:
    """Less time for what is urgent, shorter limits, other words."""
    after: dict[str, Any] = {
        "name": "Example AUP",
        "version": "2027-01",
        "clause": "Use what is free. Leave what others need.",
        "effective": dt.date(2027, 1, 1),
        "former_version_for": Duration(90 * 86400),
        "severity": Severities(
            critical=SeverityStep(harmed_share=0.5, waiting=0.4, deadline=Duration(1800))
        ),
        "limit": LimitTerms(lease=Duration(600), headroom=1.5),
        **more,
    }
    before = Policy(name="Example AUP", version="2025-06", clause="Do not take too much.")
    change = PolicyChange("web-042", before, Policy(**after))
    return render_policy_change("p-1", samples.NOW, change, contact, samples.terms())


def agreement_ending(contact: TenantContact) -> RenderedNotice:
    """The same a week before."""
    return agreement_ended(contact, ends_at=samples.NOW + 7 * 86400)


def agreement_ended(contact: TenantContact, **more: Any) -> RenderedNotice:
    """A larger share of the CPU, for three months."""
    fields: dict[str, Any] = {
        "id": "a-1",
        "tenant": "web-042",
        "kind": "share",
        "begins_at": samples.NOW - 90 * 86400,
        "ends_at": samples.NOW,
        "agreed_with": "Anna Holm",
        "recorded_by": "ole",
        "recorded_at": samples.NOW - 91 * 86400,
        "resource": "cpu",
        "share": 0.4,
        **more,
    }
    policy = samples.terms().policy_for(samples.case())
    return render_agreement_end(
        "a-1-ended", samples.NOW, Agreement(**fields), policy, contact, samples.terms()
    )


LETTERS: dict[str, Callable[[TenantContact], RenderedNotice]] = {
    "first-notice": lambda contact: rendered("first-notice", contact=contact),
    "first-notice-without-limits": lambda contact: rendered(
        "first-notice", "net-out", mode="contact", contact=contact
    ),
    "first-notice-after-a-night": lambda contact: rendered(
        "first-notice", severity="low", written_at=samples.NOW + 14 * HOUR, contact=contact
    ),
    "first-notices": grouped,
    "reminder": lambda contact: rendered("reminder", contact=contact),
    "request-granted": lambda contact: rendered("decision", contact=contact),
    "request-refused": lambda contact: rendered(
        "decision",
        contact=contact,
        requests=(
            decided_request(
                kind="more-time",
                until=samples.NOW + 48 * HOUR,
                state="refused",
                answer="Two days are too long for the others on this machine.",
                granted_share=None,
            ),
        ),
    ),
    "dispute-decided": lambda contact: rendered(
        "decision",
        contact=contact,
        requests=(),
        answers=("dispute",),
        dispute_decision=DisputeDecision(
            decided_at=samples.NOW + 2 * HOUR,
            decided_by="ole",
            answer="We measured it again: the waiting stops whenever your import pauses.",
        ),
    ),
    "limit-started": lambda contact: rendered("limit-started", contact=contact),
    "limit-ended": lambda contact: rendered("limit-ended", contact=contact),
    "closed": lambda contact: rendered("closed", contact=contact),
    "policy-change": policy_change,
    "agreement-ending": agreement_ending,
    "agreement-ended": agreement_ended,
}
"""By the name of their approved examples."""
