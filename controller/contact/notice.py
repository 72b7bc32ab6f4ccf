"""A notice as the customer gets it: subject, text, HTML, picture, and the same as data.

What is told of the case is as it was when the notice was queued, so that a notice sent again
after a crash says the same; how much time that leaves is told from when the letter is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from controller.cases.model import Case, Effect, NoticeDocument, NoticeKind, StandingLimit
from controller.contact import wording
from controller.contact.chart import NARROW, Chart, lay_out
from controller.contact.chart_png import draw_png
from controller.contact.outlook import Outlook, answers, what_happens, what_happens_to_several
from controller.contact.requested import decision_words
from controller.contact.templating import LetterTemplates
from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import Policy
from controller.fairshare.sentence import amount, duration, sentence
from controller.language.catalogue import ENGLISH, Language, languages
from controller.language.figures import whole
from controller.tenants import TenantContact
from fairuse_protocol.messages import Resource

LetterKind = NoticeKind | Literal["policy-change", "agreement-ending", "agreement-ended"]
"""What a letter can be: a notice about a case, or an announcement."""


_RECENT_SECONDS = 600.0
"""So old may be what a letter calls the last minutes: as long as most ways of grouping take."""


@dataclass(frozen=True)
class Queued:
    """One notice as it stands in the outbox."""

    id: str
    kind: NoticeKind
    queued_at: float
    document: NoticeDocument


@dataclass(frozen=True)
class Picture:
    """A chart as mail shows it. `cid:` and the id in the HTML point to it."""

    content_id: str
    png: bytes
    description: str
    """What a reader who does not see it has to know."""


@dataclass(frozen=True)
class RenderedNotice:
    """One letter, ready for any channel. Only first notices have pictures, one a case."""

    id: str
    case_id: str
    """Empty in an announcement, which is about no case."""
    kind: LetterKind
    first_notice_id: str
    """The notice that began this conversation; empty when there was none."""
    subject: str
    text: str
    html: str
    pictures: tuple[Picture, ...]
    queued_at: float
    data: dict[str, Any]
    """What a program at the customer's needs, for webhooks."""


@dataclass(frozen=True)
class NoticeTerms:
    """What every letter of this controller has in common."""

    provider_name: str
    policy_for: Callable[[Case], Policy]
    link_for: Callable[[str, float, str], str]
    """The customer page of a case, by its id, when the letter is written and its language."""
    takes_replies: bool = False
    """Whether what customers reply to a mail reaches its case."""
    templates: LetterTemplates = field(default_factory=LetterTemplates)
    draw: Callable[[Chart], bytes] = draw_png


def render(
    queued: Sequence[Queued], contact: TenantContact, terms: NoticeTerms, *, written_at: float
) -> RenderedNotice:
    """One letter in the contact's language, with each case as it was kept when it was queued.

    Several notices make one letter when all are first notices about the same tenant; ValueError
    when they are not. It goes by the id of the first.
    """
    _require_one_letter(queued)
    first = queued[0]
    case = first.document.case
    policy = terms.policy_for(case)
    language, zone = languages()[contact.language or policy.language], zone_of(contact)
    abouts = [
        _about(each, f"chart-{number}", terms, written_at, language, zone)
        for number, each in enumerate(queued, 1)
    ]
    values = {
        **abouts[0],
        **common_values(contact, terms, language, zone),
        "cases": abouts,
        "steps": abouts[0]["steps"]
        if len(abouts) == 1
        else what_happens_to_several(abouts[0]["of"]),
        "links": [about["page_url"] for about in abouts],
        "causes": wording.causes(language),
    }
    template = first.kind if len(queued) == 1 else "first-notices"
    written = terms.templates.write(template, policy.name, values, language)
    others = [_data(each, about) for each, about in zip(queued[1:], abouts[1:], strict=True)]
    return RenderedNotice(
        id=first.id,
        case_id=case.id,
        kind=first.kind,
        first_notice_id=case.notice,
        subject=written.subject,
        text=written.text,
        html=written.html,
        pictures=tuple(_picture(about, terms) for about in abouts)
        if first.kind == "first-notice"
        else (),
        queued_at=first.queued_at,
        data=_data(first, abouts[0]) | ({"others": others} if others else {}),
    )


def zone_of(contact: TenantContact) -> tzinfo:
    """The zone in which times are told to a contact."""
    return ZoneInfo(contact.time_zone) if contact.time_zone else UTC


def common_values(
    contact: TenantContact, terms: NoticeTerms, language: Language, zone: tzinfo
) -> dict[str, Any]:
    """What every template may use."""
    return {
        "greeting": _greeting(contact.name, language),
        "provider": terms.provider_name,
        "zone": str(zone),
        "answers_by_mail": terms.takes_replies and "email" in contact.channels,
    }


def _require_one_letter(queued: Sequence[Queued]) -> None:
    kinds = {each.kind for each in queued}
    tenants = {each.document.case.tenant for each in queued}
    if len(queued) != 1 and (kinds != {"first-notice"} or len(tenants) != 1):
        raise ValueError(
            "expected one notice, or first notices about one tenant; found "
            + (", ".join(each.id for each in queued) or "none")
        )


def _about(
    queued: Queued,
    content_id: str,
    terms: NoticeTerms,
    written_at: float,
    language: Language,
    zone: tzinfo,
) -> dict[str, Any]:
    """What a letter says of one case."""
    document, case = queued.document, queued.document.case
    policy = terms.policy_for(case)
    of = Outlook(case, policy, document.mode, written_at, language, zone)
    deadline = of.no_limit_before
    return {
        "of": of,
        "case": case,
        "tenant": case.tenant,
        "mode": document.mode,
        "policy": policy,
        "page_url": terms.link_for(case.id, written_at, language.code),
        "resource": wording.resource_name(case.resource, language),
        "why": wording.why_it_matters(case.resource, language),
        "sentence": sentence(
            case.verdict,
            whose=wording.your_server(case.tenant, language),
            when=when_seen(case.verdict, written_at, language, zone)
            if queued.kind == "first-notice"
            else "",
            language=language,
        ),
        "seen_at": of.moment(case.notice_accepted_at or case.opened_at),
        "figures": evidence_figures(case, language, zone),
        "chart": lay_out(case.verdict, language, zone, NARROW),
        "chart_id": content_id,
        "steps": what_happens(of),
        "answers": answers(of),
        "deadline": deadline and of.moment(deadline),
        "deadline_in": deadline and of.distance(deadline),
        "limit": limit_words(case, document.limit, language, zone),
        "limit_figures": limit_figures(case, document.limit, of, now=queued.queued_at),
        "effect": effect_bars(case.effect, language),
        "case_figures": case_figures(of),
        "request": decision_words(case, language, zone),
    }


def when_seen(verdict: Verdict, now: float, language: Language, zone: tzinfo) -> str:
    """When that was which the verdict is about, as its sentence may tell it; empty as long as
    "the last minutes" will do."""
    if now - verdict.decided_at <= _RECENT_SECONDS:
        return ""
    return wording.during(_began_at(verdict), verdict.decided_at, language, zone)


def _began_at(verdict: Verdict) -> float:
    """When what the verdict rests on began to be measured."""
    start = verdict.decided_at - verdict.window_seconds
    if verdict.samples:
        start = max(start, verdict.samples[0].ended_at - verdict.samples[0].seconds)
    return start


def _picture(about: dict[str, Any], terms: NoticeTerms) -> Picture:
    chart = about["chart"]
    return Picture(about["chart_id"], terms.draw(chart), chart.description)


def evidence_figures(
    case: Case, language: Language = ENGLISH, zone: tzinfo = UTC
) -> tuple[tuple[str, str], ...]:
    """The evidence as labels and values."""
    verdict = case.verdict
    used = amount(case.resource, verdict.average_used, language)
    return (
        (
            language.gettext("Your server's use"),
            language.gettext("%(amount)s on average", amount=used),
        ),
        (
            language.gettext("Its fair share"),
            amount(case.resource, verdict.average_fair_share, language),
        ),
        (
            wording.capacity_name(case.resource, language),
            wording.figure(case.resource, verdict.capacity, language),
        ),
        (language.gettext("Others affected"), _others_affected(verdict, language)),
        (
            language.gettext("Measured"),
            wording.span(_began_at(verdict), verdict.decided_at, language, zone),
        ),
    )


def limit_words(
    case: Case, limit: StandingLimit | None, language: Language = ENGLISH, zone: tzinfo = UTC
) -> dict[str, str | bool] | None:
    """What there is to say of a limit; None when there is none."""
    if limit is None:
        return None
    return {
        "allowance": amount(case.resource, limit.allowance, language),
        "fair_share": amount(case.resource, limit.fair_share, language),
        "until": wording.moment(limit.lease_until, language, zone),
        "length": duration(limit.lease_until - limit.ordered_at, language),
        "by_staff": case.deadline is None or limit.ordered_at < case.deadline,
    }


def limit_figures(
    case: Case, limit: StandingLimit | None, of: Outlook, *, now: float
) -> tuple[tuple[str, str], ...]:
    """A limit as labels and values, while it stands and, from `now` on, after it; empty where
    there is none."""
    if limit is None:
        return ()
    gettext, language = of.language.gettext, of.language
    until = min(limit.lease_until, now) if case.limit is None else limit.lease_until
    return (
        (gettext("Use before the limit"), amount(case.resource, limit.unlimited_use, language)),
        *_limit_sizes(case.resource, limit, language),
        (gettext("Its fair share"), amount(case.resource, limit.fair_share, language)),
        (
            gettext("In force"),
            wording.span(limit.confirmed_at or limit.ordered_at, until, language, of.zone),
        ),
    )


def _limit_sizes(
    resource: Resource, limit: StandingLimit, language: Language
) -> tuple[tuple[str, str], ...]:
    last = amount(resource, limit.allowance, language)
    if limit.first_allowance is None:
        return ((language.gettext("The limit"), last),)
    return (
        (language.gettext("The limit at first"), amount(resource, limit.first_allowance, language)),
        (language.gettext("The limit at last"), last),
    )


def case_figures(of: Outlook) -> tuple[tuple[str, str], ...]:
    """The course of a case as labels and values, as far as it has gone."""
    case, gettext = of.case, of.language.gettext
    course = (
        (gettext("Case opened"), case.opened_at),
        (gettext("You were written to"), case.notice_accepted_at),
        (gettext("Case closed"), case.closed_at),
    )
    return tuple((label, of.moment(at)) for label, at in course if at is not None)


def effect_bars(
    effect: Effect | None, language: Language = ENGLISH
) -> tuple[dict[str, str | int], ...]:
    """Neighbours' waiting in up to three bars, in percent of the longest."""
    if effect is None:
        return ()
    shares = (
        (language.gettext("Before"), effect.before),
        (language.gettext("While it stood"), effect.during),
        (language.gettext("Afterwards"), effect.after),
    )
    most = max(share for _, share in shares if share is not None) or 1.0
    return tuple(
        {
            "label": label,
            "share": wording.percent(share, language),
            "width": round(100 * share / most),
        }
        for label, share in shares
        if share is not None
    )


def _others_affected(verdict: Verdict, language: Language) -> str:
    """How many, and how much they waited, in the terms in which it was measured."""
    values = {
        "harmed": whole(verdict.neighbours_harmed, language),
        "all": whole(verdict.neighbours, language),
        "share": wording.percent(verdict.neighbours_waiting, language),
    }
    if verdict.resource in ("net-in", "net-out"):
        return language.gettext(
            "%(harmed)s of %(all)s waited, with %(share)s of packets held up", **values
        )
    return language.gettext("%(harmed)s of %(all)s waited %(share)s of the time", **values)


def _greeting(name: str, language: Language) -> str:
    return language.gettext("Hello %(name)s,", name=name) if name else language.gettext("Hello,")


def _data(queued: Queued, about: dict[str, Any]) -> dict[str, Any]:
    case, limit = queued.document.case, queued.document.limit
    verdict, request = case.verdict, case.last_decided_request
    return {
        "notice": queued.id,
        "case": case.id,
        "tenant": case.tenant,
        "host": case.host,
        "resource": case.resource,
        "state": case.state,
        "severity": case.severity,
        "sentence": about["sentence"],
        "page_url": about["page_url"],
        "deadline": about["of"].no_limit_before,
        "used": verdict.average_used,
        "fair_share": verdict.average_fair_share,
        "capacity": verdict.capacity,
        "neighbours_harmed": verdict.neighbours_harmed,
        "neighbours_waiting": verdict.neighbours_waiting,
        "limit": limit and {"allowance": limit.allowance, "until": limit.lease_until},
        "request": request and {"kind": request.kind, "state": request.state},
        "effect": case.effect and msgspec.to_builtins(case.effect),
        "closing": case.closing,
    }
