"""A notice as the customer gets it: subject, text, HTML, picture, and the same as data.

Everything comes from the case as it was when the notice was queued, so that a notice sent again
after a crash says the same.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jinja2
import msgspec

from controller.cases.lifecycle import time_to_answer_seconds
from controller.cases.model import Case, Effect, NoticeDocument, NoticeKind, StandingLimit
from controller.contact import wording
from controller.contact.chart import lay_out
from controller.contact.chart_png import draw_png
from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import Policy
from controller.fairshare.sentence import amount, duration, sentence
from controller.language.catalogue import ENGLISH, Language, languages
from controller.language.figures import whole
from controller.language.templates import in_every_language
from controller.tenants import TenantContact

CHART_ID = "chart"
"""The mail part that holds the picture; `cid:` in the HTML points to it."""


@dataclass(frozen=True)
class RenderedNotice:
    """One notice, ready for any channel. Only notices with evidence have a picture."""

    id: str
    case_id: str
    kind: NoticeKind
    first_notice_id: str
    """The notice that began this conversation; empty when an operator acted without one."""
    subject: str
    text: str
    html: str
    chart_png: bytes | None
    chart_description: str
    queued_at: float
    data: dict[str, Any]
    """What a program at the customer's needs, for webhooks."""


@dataclass(frozen=True)
class NoticeTerms:
    """What every notice of this controller has in common."""

    provider_name: str
    policy_for: Callable[[Case], Policy]
    link_for: Callable[[str, float], str]
    """The customer page of a case, by its id and when the notice was queued."""


def render(
    notice_id: str,
    kind: NoticeKind,
    queued_at: float,
    document: NoticeDocument,
    contact: TenantContact,
    terms: NoticeTerms,
) -> RenderedNotice:
    """One notice about a case as `document` kept it at `queued_at`, in the contact's language."""
    case = document.case
    policy = terms.policy_for(case)
    language = languages()[contact.language or policy.language]
    page_url = terms.link_for(case.id, queued_at)
    chart = lay_out(case.verdict, language)
    evidence = sentence(
        case.verdict, whose=wording.your_server(case.tenant, language), language=language
    )
    values = {
        "case": case,
        "tenant": case.tenant,
        "mode": document.mode,
        "greeting": _greeting(contact.name, language),
        "provider": terms.provider_name,
        "policy": policy,
        "page_url": page_url,
        "resource": wording.resource_name(case.resource, language),
        "sentence": evidence,
        "figures": evidence_figures(case, language),
        "causes": wording.causes(language),
        "chart": chart,
        "chart_id": CHART_ID,
        "time_to_answer": duration(time_to_answer_seconds(case, policy), language),
        "longest_limit": duration(policy.limit.lease, language),
        "limit": limit_words(case, document.limit, language),
        "effect": effect_bars(case.effect, language),
    }
    subject, text = _written(kind, values, language)
    return RenderedNotice(
        id=notice_id,
        case_id=case.id,
        kind=kind,
        first_notice_id=case.notice,
        subject=subject,
        text=text,
        html=_html_templates[language.code].get_template(f"{kind}.html.j2").render(values),
        chart_png=draw_png(chart) if kind == "first-notice" else None,
        chart_description=chart.description,
        queued_at=queued_at,
        data=_data(notice_id, document, page_url, evidence),
    )


def evidence_figures(case: Case, language: Language = ENGLISH) -> tuple[tuple[str, str], ...]:
    """The evidence as labels and values."""
    verdict = case.verdict
    start = verdict.decided_at - verdict.window_seconds
    if verdict.samples:
        start = max(start, verdict.samples[0].ended_at - verdict.samples[0].seconds)
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
        (language.gettext("Measured"), wording.span(start, verdict.decided_at, language)),
    )


def limit_words(
    case: Case, limit: StandingLimit | None, language: Language = ENGLISH
) -> dict[str, str | bool] | None:
    """What there is to say of a limit; None when there is none."""
    if limit is None:
        return None
    return {
        "allowance": amount(case.resource, limit.allowance, language),
        "fair_share": amount(case.resource, limit.fair_share, language),
        "until": wording.moment(limit.lease_until, language),
        "by_staff": case.deadline is None or limit.ordered_at < case.deadline,
    }


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


def _data(notice_id: str, document: NoticeDocument, page_url: str, evidence: str) -> dict[str, Any]:
    case, limit = document.case, document.limit
    verdict = case.verdict
    return {
        "notice": notice_id,
        "case": case.id,
        "tenant": case.tenant,
        "host": case.host,
        "resource": case.resource,
        "state": case.state,
        "severity": case.severity,
        "sentence": evidence,
        "page_url": page_url,
        "used": verdict.average_used,
        "fair_share": verdict.average_fair_share,
        "capacity": verdict.capacity,
        "neighbours_harmed": verdict.neighbours_harmed,
        "neighbours_waiting": verdict.neighbours_waiting,
        "limit": limit and {"allowance": limit.allowance, "until": limit.lease_until},
        "effect": case.effect and msgspec.to_builtins(case.effect),
        "closing": case.closing,
    }


def _written(kind: NoticeKind, values: dict[str, Any], language: Language) -> tuple[str, str]:
    """Subject and plain text."""
    template = _text_templates[language.code].get_template(f"{kind}.txt.j2")
    subject, _, text = template.render(values).partition("\n")
    return subject.removeprefix("Subject: "), _tidy(text)


def _tidy(text: str) -> str:
    """Paragraphs with one empty line between them, whatever the template's branches left."""
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"


def _prose(text: str) -> str:
    """A paragraph for plain-text mail."""
    return textwrap.fill(" ".join(text.split()), 72, break_long_words=False, break_on_hyphens=False)


def _bullet(text: str) -> str:
    """One point of a list for plain-text mail."""
    return textwrap.fill(
        " ".join(text.split()),
        74,
        initial_indent="  * ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _environment(*, html: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("controller.contact"),
        autoescape=html,  # noqa: S701 - text for plain mail must not be escaped
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["bullet"] = _bullet
    return environment


_text_templates = in_every_language(lambda: _environment(html=False))
_html_templates = in_every_language(lambda: _environment(html=True))
