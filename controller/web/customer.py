"""The customer's page: one case, behind its link, and what its holder can say to it.

Reading changes nothing, since mail programs open links by themselves. The token in the path is
the secret, so that no other site can know where to send a form.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from babel import negotiate_locale

from controller.cases import answers, requests
from controller.cases.model import Case
from controller.cases.steps import CaseRefused
from controller.contact.links import LinkRefused
from controller.language.catalogue import ENGLISH, languages
from controller.web import customer_forms as forms
from controller.web.customer_page import Told, case_page, ending_page, thanks, use_now
from controller.web.customer_reader import Reader, reader_of
from controller.web.customer_words import SAID, Saying, refusal
from controller.web.errors import Refused
from controller.web.pages import page
from controller.web.routes import Route
from controller.web.services import SERVICES, Services

_log = logging.getLogger(__name__)

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class _Visit:
    """Who reads which case."""

    case: Case
    reader: Reader


async def show(request: web.Request) -> web.Response:
    """The case as it stands."""
    services = request.app[SERVICES]
    visit = await _opened(request, services)
    if visit is None:
        return _closed_door(request, root="..")
    case, reader = visit.case, visit.reader
    if case.state == "closed":
        return ending_page(services, case, reader, root="..")
    said = request.query.get("said", "")
    has_said = {*case.answers, *(each.kind for each in case.requests)}
    kind = next((kind for kind in SAID if kind == said in has_said), None)
    message = thanks(services, case, reader, kind) if kind else ""
    return await case_page(services, case, reader, Told(_token(request), "..", message))


async def show_use(request: web.Request) -> web.Response:
    """The part of the page that says what is used now, for the page to put in place."""
    services = request.app[SERVICES]
    visit = await _opened(request, services)
    if visit is None or visit.case.state == "closed":
        return _closed_door(request, root="../..")
    return use_now(services, visit.case, visit.reader)


async def answer(request: web.Request) -> web.Response:
    """Take one answer or request, and lead back to the page."""
    services = request.app[SERVICES]
    visit = await _opened(request, services)
    kind = next((kind for kind in SAID if kind == request.match_info["answer"]), None)
    if visit is None or kind is None:
        return _closed_door(request, root="../..")
    case, reader = visit.case, visit.reader
    form = await _form(request)
    try:
        await _take(services, visit, kind, form)
    except _SentTwice:
        _log.debug("case %s: the customer's form came twice and counts once", case.id)
    except (CaseRefused, forms.FormRefused) as refused:
        newest = await services.desk.case(case.id) or case
        if newest.state == "closed":
            return ending_page(services, newest, reader, root="../..", status=409)
        language = reader.language
        is_stale = isinstance(refused, CaseRefused)
        text = refusal(str(refused), language) if is_stale else language.gettext(str(refused))
        told = Told(_token(request), "../..", text, 409 if is_stale else 400, kind, form)
        return await case_page(services, newest, reader, told)
    raise web.HTTPSeeOther(f"../{_token(request)}?said={kind}")


async def _take(services: Services, visit: _Visit, kind: Saying, form: Mapping[str, str]) -> None:
    """What the form says reaches the case. CaseRefused or FormRefused says why not."""
    desk, case, reader = services.desk, visit.case, visit.reader
    policy, now, note = desk.policy_of(case), services.clock(), forms.read_note(form)
    match kind:
        case "more-time":
            used = "more-time" in case.answers
            offers = forms.time_offers(policy.times, reader, used=used)
            seconds = forms.read_time(form, offers)
            await desk.carry_out(
                case.id,
                lambda newest, at: requests.ask_for_time(
                    _for_the_first_time(newest, form), seconds, note, policy, now=at
                ),
            )
        case "agreement":
            wanted = forms.read_agreement(form, reader, now=now)
            await desk.carry_out(
                case.id,
                lambda newest, at: requests.ask_for_agreement(newest, wanted, policy, now=at),
            )
        case "load-test":
            wanted = forms.read_test(form, reader, now=now)
            await desk.carry_out(
                case.id, lambda newest, at: requests.ask_for_test(newest, wanted, policy, now=at)
            )
        case _:
            if answers.was_said(kind, note, await desk.timeline(case.id)):
                raise _SentTwice
            await desk.answer(case.id, kind, note)


class _SentTwice(CaseRefused):
    """A form that was sent a second time, as by a double click."""


def _for_the_first_time(case: Case, form: Mapping[str, str]) -> Case:
    """The same case, unless its page offered the first time and that was given meanwhile: what a
    second click sends is not a wish for still more, which a person would have to decide."""
    if form.get("first") and "more-time" in case.answers:
        raise _SentTwice
    return case


async def _opened(request: web.Request, services: Services) -> _Visit | None:
    """What the link opens, if it opens any case."""
    try:
        opened = services.links.opened_by(_token(request))
    except LinkRefused as refused:
        _log.info("a customer's link was refused: %s", refused)
        return None
    case = await services.desk.case(opened.case_id)
    if case is None or case.is_erased:
        return None
    return _Visit(case, reader_of(services, case, opened.language))


def _token(request: web.Request) -> str:
    return request.match_info["token"]


def _closed_door(request: web.Request, *, root: str) -> web.Response:
    """Nothing is known of the visitor but what their browser asks for."""
    wanted = [
        part.partition(";")[0].strip()
        for part in request.headers.get("Accept-Language", "").split(",")
    ]
    code = negotiate_locale(wanted, [each.tag for each in languages().values()], sep="-")
    language = next((each for each in languages().values() if each.tag == code), ENGLISH)
    return page("closed-door.html.j2", {}, root=root, status=404, language=language)


async def _form(request: web.Request) -> dict[str, str]:
    """The fields that were filled in."""
    if request.content_type != _FORM:
        raise Refused(415, f"form: expected {_FORM}, found {request.content_type}")
    posted = await request.post()
    return {name: value for name, value in posted.items() if isinstance(value, str)}


ROUTES = (
    Route("GET", "/c/{token}", show, "public", "The customer's page of one case"),
    Route("GET", "/c/{token}/use", show_use, "public", "What the case's tenant uses now"),
    Route("POST", "/c/{token}/{answer}", answer, "public", "The customer answers"),
)
