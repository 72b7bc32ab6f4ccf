"""What stands on the customer's page: a case, as its reader is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import markupsafe
from aiohttp import web

from controller.cases.model import Case
from controller.contact import wording
from controller.contact.chart import lay_out
from controller.contact.chart_svg import draw_svg
from controller.contact.notice import effect_bars, evidence_figures, limit_words, when_seen
from controller.fairshare.evidence import Verdict
from controller.fairshare.sentence import amount, sentence
from controller.language.figures import duration, whole
from controller.web import customer_forms as forms
from controller.web.customer_reader import Reader
from controller.web.customer_words import SAID, Saying, agreed, asked, choices, history
from controller.web.pages import page
from controller.web.services import Services

LOOK_AGAIN_SECONDS = 10
"""As often as hosts report, if nothing else is configured."""


@dataclass(frozen=True)
class Told:
    """How the page is asked for, and what it says of what was sent last."""

    token: str
    root: str
    """From the page's address to the server's root."""
    message: str = ""
    status: int = 200
    kind: Saying | None = None
    """What was refused."""
    form: Mapping[str, str] = field(default_factory=dict)
    """What was typed there."""


async def case_page(services: Services, case: Case, reader: Reader, told: Told) -> web.Response:
    """An open case: what was seen, what happens next, and what can be said to it."""
    policy = services.policies.policy_for(case.tenant, case.host)
    now = services.clock()
    language = reader.language
    values = {
        "mode": services.desk.modes.on(case.host),
        "paused": services.desk.paused,
        "provider": services.settings.contact.provider_name,
        "policy": policy,
        "token": told.token,
        "message": told.message,
        "refused": told.status != 200,
        "typed": {told.kind: told.form},
        "subsides_after": duration(policy.times.subsides_after, language),
        "choices": choices(
            case, policy.times, services.desk.modes.on(case.host), language, now=now
        ),
        "time_offers": forms.time_offers(policy.times, reader, used="more-time" in case.answers),
        "requests": asked(case.requests, reader),
        "agreements": _agreements(services, case, reader, now),
        "history": history(await services.desk.timeline(case.id), reader),
        "longest_note": forms.LONGEST_NOTE,
        "longest_name": forms.LONGEST_NAME,
        "earliest": reader.typed(now),
        "latest": reader.typed(now + forms.LONGEST_AGREEMENT_SECONDS),
        "clock": reader.zone_name(now),
        "zone": str(reader.zone),
        "now": round(now),
        "look_again_seconds": LOOK_AGAIN_SECONDS,
        **_about(case, reader, policy.times.solved_check, now),
        **_use(services, case, reader, now),
    }
    return page("customer.html.j2", values, root=told.root, status=told.status, language=language)


def thanks(services: Services, case: Case, reader: Reader, kind: Saying) -> str:
    """What was heard of the customer, with the time that they have now where they asked for it."""
    heard = reader.language.gettext(SAID[kind])
    enforcing = services.desk.modes.on(case.host) == "enforce"
    if kind != "more-time" or not enforcing or (case.deadline or 0.0) <= services.clock():
        return heard
    given = reader.language.gettext(
        "Nothing is limited automatically before %(end)s.", end=reader.moment(case.deadline or 0.0)
    )
    return f"{heard} {given}"


def ending_page(
    services: Services, case: Case, reader: Reader, *, root: str, status: int = 200
) -> web.Response:
    """A closed case: that it is closed, and how it ended."""
    values = {
        "case": case,
        "provider": services.settings.contact.provider_name,
        "closed_at": case.closed_at and reader.moment(case.closed_at),
        "refused": status != 200,
    }
    return page(
        "customer-closed.html.j2", values, root=root, status=status, language=reader.language
    )


def use_now(services: Services, case: Case, reader: Reader) -> web.Response:
    """What the case's tenant uses now, of the case's resource on its host and nothing else."""
    values = _use(services, case, reader, services.clock())
    return page("customer-use.html.j2", values, root="../..", language=reader.language)


def _about(case: Case, reader: Reader, solved_check: float, now: float) -> dict[str, Any]:
    """What the page says of the case itself. `solved_check`: seconds."""
    language = reader.language
    chart = lay_out(case.verdict, language, reader.zone)
    whose = wording.your_server(case.tenant, language)
    return {
        "case": case,
        "tenant": case.tenant,
        "resource": wording.resource_name(case.resource, language),
        "sentence": sentence(
            case.verdict,
            whose=whose,
            when=when_seen(case.verdict, now, language, reader.zone),
            language=language,
        ),
        "seen_at": reader.moment(case.opened_at),
        "figures": evidence_figures(case, language, reader.zone),
        "causes": wording.causes(language),
        "chart": chart,
        "svg": markupsafe.Markup(draw_svg(chart)),  # noqa: S704 - it escapes
        "limit": limit_words(case, case.limit, language, reader.zone),
        "suspended_until": case.suspension and reader.moment(case.suspension.lease_until),
        "effect": effect_bars(case.effect, language),
        "solved_until": case.solved_at and reader.moment(case.solved_at + solved_check),
        "deadline": case.deadline and reader.moment(case.deadline),
        "deadline_in": case.deadline and wording.from_now(case.deadline, now, language),
        "deadline_passed": case.deadline is not None and now >= case.deadline,
    }


def _use(services: Services, case: Case, reader: Reader, now: float) -> dict[str, Any]:
    """The last minutes, as the controller has them in memory; `use` None when it has nothing."""
    seen = services.desk.live.of(case, now=now)
    return {"use": None if seen is None else _just_now(seen, reader)}


def _just_now(seen: Verdict, reader: Reader) -> dict[str, Any]:
    language, last = reader.language, seen.samples[-1]
    chart = lay_out(seen, language, reader.zone)
    return {
        "used": amount(seen.resource, last.used, language),
        "fair_share": amount(seen.resource, last.fair_share, language),
        "over": last.used > last.fair_share,
        "waiting": last.neighbours_harmed,
        "waiting_count": whole(last.neighbours_harmed, language),
        "measured_at": wording.clock_time(last.ended_at, language, reader.zone, seconds=True),
        "clock": reader.zone_name(last.ended_at),
        "chart": chart,
        "svg": markupsafe.Markup(draw_svg(chart, element_id="use")),  # noqa: S704 - it escapes
    }


def _agreements(services: Services, case: Case, reader: Reader, now: float) -> tuple[str, ...]:
    """Agreements and consents that concern this case's use, now or later."""
    return tuple(
        agreed(each, reader)
        for each in services.desk.agreements.listed(tenant=case.tenant)
        if each.host in ("", case.host)
        and each.resource in ("", case.resource)
        and each.state(now) in ("in-force", "to-come")
    )
