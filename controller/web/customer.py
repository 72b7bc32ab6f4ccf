"""The customer's page: one case, behind its link, and what its holder can say to it.

Reading changes nothing, since mail programs open links by themselves. The token in the path is
the secret, so that no other site can know where to send a form.
"""

from __future__ import annotations

import logging
from typing import Any

import markupsafe
from aiohttp import web
from babel import negotiate_locale

from controller.cases.model import Case
from controller.cases.steps import CaseRefused
from controller.contact import wording
from controller.contact.chart import lay_out
from controller.contact.chart_svg import draw_svg
from controller.contact.links import LinkRefused
from controller.contact.notice import effect_bars, evidence_figures, limit_words
from controller.fairshare.sentence import sentence
from controller.language.catalogue import ENGLISH, Language, languages
from controller.language.figures import duration
from controller.web.customer_words import SAID, choices, history, refusal
from controller.web.errors import Refused
from controller.web.pages import page
from controller.web.routes import Route
from controller.web.services import SERVICES, Services

_log = logging.getLogger(__name__)

LONGEST_NOTE = 2000
_FORM = "application/x-www-form-urlencoded"


async def show(request: web.Request) -> web.Response:
    """The case as it stands."""
    services = request.app[SERVICES]
    case = await _opened(request, services)
    if case is None:
        return _closed_door(request, root="..")
    said = request.query.get("said", "")
    thanks = next((text for kind, text in SAID.items() if kind == said in case.answers), "")
    message = _language(services, case).gettext(thanks) if thanks else ""
    return await _page(request, services, case, root="..", message=message)


async def answer(request: web.Request) -> web.Response:
    """Take one answer, and lead back to the page."""
    services = request.app[SERVICES]
    case = await _opened(request, services)
    kind = next((kind for kind in SAID if kind == request.match_info["answer"]), None)
    if case is None or kind is None:
        return _closed_door(request, root="../..")
    note = await _note(request)
    try:
        await services.desk.answer(case.id, kind, note)
    except CaseRefused as refused:
        newest = await services.desk.case(case.id) or case
        reason = refusal(str(refused), _language(services, case))
        return await _page(request, services, newest, root="../..", message=reason, status=409)
    token = request.match_info["token"]
    raise web.HTTPSeeOther(f"../{token}?said={kind}")


async def _opened(request: web.Request, services: Services) -> Case | None:
    """The case that the link opens, if it opens any."""
    try:
        case_id = services.links.case_for(request.match_info["token"])
    except LinkRefused as refused:
        _log.info("a customer's link was refused: %s", refused)
        return None
    return await services.desk.case(case_id)


def _language(services: Services, case: Case) -> Language:
    """The language that the case's tenant is written to in."""
    tenant = services.directory.tenant(case.tenant)
    policy = services.policies.policy_for(case.tenant, case.host)
    return languages()[(tenant and tenant.language) or policy.language]


def _closed_door(request: web.Request, *, root: str) -> web.Response:
    """Nothing is known of the visitor but what their browser asks for."""
    wanted = [
        part.partition(";")[0].strip()
        for part in request.headers.get("Accept-Language", "").split(",")
    ]
    code = negotiate_locale(wanted, [each.tag for each in languages().values()], sep="-")
    language = next((each for each in languages().values() if each.tag == code), ENGLISH)
    return page("closed-door.html.j2", {}, root=root, status=404, language=language)


async def _note(request: web.Request) -> str:
    if request.content_type != _FORM:
        raise Refused(415, f"form: expected {_FORM}, found {request.content_type}")
    note = (await request.post()).get("note", "")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise Refused(400, f"note: expected at most {LONGEST_NOTE} characters")
    lines = (
        "".join(character if character.isprintable() else " " for character in line)
        for line in note.splitlines()
    )
    return "\n".join(lines).strip()


async def _page(
    request: web.Request,
    services: Services,
    case: Case,
    *,
    root: str,
    message: str,
    status: int = 200,
) -> web.Response:
    policy = services.policies.policy_for(case.tenant, case.host)
    language = _language(services, case)
    values = {
        "mode": services.desk.modes.on(case.host),
        "paused": services.desk.paused,
        "provider": services.settings.contact.provider_name,
        "policy": policy,
        "token": request.match_info["token"],
        "message": message,
        "refused": status != 200,
        "subsides_after": duration(policy.times.subsides_after, language),
        "choices": choices(case, policy.times, language),
        "history": history(await services.desk.timeline(case.id), language),
        "longest_note": LONGEST_NOTE,
        **_about(case, language, services.clock()),
    }
    return page("customer.html.j2", values, root=root, status=status, language=language)


def _about(case: Case, language: Language, now: float) -> dict[str, Any]:
    """What the page says of the case itself."""
    chart = lay_out(case.verdict, language)
    whose = wording.your_server(case.tenant, language)
    return {
        "case": case,
        "tenant": case.tenant,
        "resource": wording.resource_name(case.resource, language),
        "sentence": sentence(case.verdict, whose=whose, language=language),
        "seen_at": wording.moment(case.opened_at, language),
        "figures": evidence_figures(case, language),
        "causes": wording.causes(language),
        "chart": chart,
        "svg": markupsafe.Markup(draw_svg(chart)),  # noqa: S704 - it escapes
        "limit": limit_words(case, case.limit, language),
        "suspended_until": case.suspension
        and wording.moment(case.suspension.lease_until, language),
        "effect": effect_bars(case.effect, language),
        "deadline": case.deadline and wording.moment(case.deadline, language),
        "deadline_in": case.deadline and wording.from_now(case.deadline, now, language),
        "deadline_passed": case.deadline is not None and now >= case.deadline,
    }


ROUTES = (
    Route("GET", "/c/{token}", show, "public", "The customer's page of one case"),
    Route("POST", "/c/{token}/{answer}", answer, "public", "The customer answers"),
)
