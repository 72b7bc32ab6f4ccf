"""The customer's page: one case, behind its link, and what its holder can say to it.

Reading changes nothing, since mail programs open links by themselves. The token in the path is
the secret, so that no other site can know where to send a form.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import markupsafe
from aiohttp import web

from controller.cases.answers import possible_answers
from controller.cases.model import AnswerKind, Case, TimelineEntry
from controller.cases.steps import CaseRefused
from controller.contact import wording
from controller.contact.chart import lay_out
from controller.contact.chart_svg import draw_svg
from controller.contact.links import LinkRefused
from controller.contact.notice import effect_bars, evidence_figures, limit_words
from controller.fairshare.sentence import duration, sentence
from controller.web.errors import Refused
from controller.web.pages import page
from controller.web.routes import Route
from controller.web.services import SERVICES, Services

_log = logging.getLogger(__name__)

LONGEST_NOTE = 2000
_FORM = "application/x-www-form-urlencoded"
_NOTE_MARK = " They wrote: "
"""Where the customer's own words begin in the line that an answer leaves in the history."""


@dataclass(frozen=True)
class Choice:
    """One thing that the customer can say."""

    kind: AnswerKind
    title: str
    meaning: str
    note_label: str
    button: str


_SAID: dict[AnswerKind, str] = {
    "acknowledge": "You said that you are looking into it.",
    "more-time": "You asked for more time.",
    "solved": "You said that it is solved.",
    "dispute": "You said that we are wrong. One of our staff will look at it.",
}
_EVENTS = {
    "opened": "We saw other customers' servers waiting, and this case was opened.",
    "notice-accepted": "Our message reached your {actor}.",
    "notice-failed": "Our message could not be delivered.",
    "limit-started": "A limit started.",
    "limit-ended": "The limit ended.",
    "held": "One of our staff took over the case.",
    "closed-subsided": "The load went down, and the case was closed.",
    "closed-resolved": "You had solved it, and the case was closed.",
    "closed-agreed": "This use was agreed with you, and the case was closed.",
    "closed-dismissed": "One of our staff closed the case.",
    "closed-relieved": "The machine had room again or the limit's time was over. Case closed.",
}
"""What each event says to a customer. Others are the provider's own business, and not shown."""
_AS_WRITTEN = ("deadline-moved", "limit-changed", "effect-measured")
_CHANNELS = {"email": "mail server", "webhook": "webhook"}


async def show(request: web.Request) -> web.Response:
    """The case as it stands."""
    services = request.app[SERVICES]
    case = await _opened(request, services)
    if case is None:
        return _closed_door(root="..")
    said = request.query.get("said", "")
    thanks = next((text for kind, text in _SAID.items() if kind == said in case.answers), "")
    return await _page(request, services, case, root="..", message=thanks)


async def answer(request: web.Request) -> web.Response:
    """Take one answer, and lead back to the page."""
    services = request.app[SERVICES]
    case = await _opened(request, services)
    kind = next((kind for kind in _SAID if kind == request.match_info["answer"]), None)
    if case is None or kind is None:
        return _closed_door(root="../..")
    note = await _note(request)
    try:
        await services.desk.answer(case.id, kind, note)
    except CaseRefused as refused:
        newest = await services.desk.case(case.id) or case
        return await _page(
            request, services, newest, root="../..", message=str(refused), status=409
        )
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


def _closed_door(*, root: str) -> web.Response:
    return page("closed-door.html.j2", {}, root=root, status=404)


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
    now = services.clock()
    policy = services.policies.policy_for(case.tenant, case.host)
    entries = await services.desk.timeline(case.id)
    values = {
        "case": case,
        "provider": services.settings.contact.provider_name,
        "policy": policy,
        "mode": services.desk.mode,
        "paused": services.desk.paused,
        "token": request.match_info["token"],
        "message": message,
        "refused": status != 200,
        "resource": wording.RESOURCE_NAMES[case.resource],
        "sentence": sentence(case.verdict, whose=f"your server {case.tenant}"),
        "seen_at": wording.moment(case.opened_at),
        "figures": evidence_figures(case),
        "chart": lay_out(case.verdict),
        "svg": markupsafe.Markup(draw_svg(lay_out(case.verdict))),  # noqa: S704 - it escapes
        "limit": limit_words(case, case.limit),
        "effect": effect_bars(case.effect),
        "deadline": case.deadline and wording.moment(case.deadline),
        "deadline_in": case.deadline and wording.from_now(case.deadline, now),
        "deadline_passed": case.deadline is not None and now >= case.deadline,
        "subsides_after": duration(policy.times.subsides_after),
        "choices": _choices(services, case),
        "history": _history(entries),
        "longest_note": LONGEST_NOTE,
    }
    return page("customer.html.j2", values, root=root, status=status)


def _choices(services: Services, case: Case) -> tuple[Choice, ...]:
    times = services.policies.policy_for(case.tenant, case.host).times
    limited = case.state == "limited"
    known = (
        Choice(
            "acknowledge",
            "I am looking into it",
            "We know that you have seen this."
            if limited
            else f"Nothing is limited for the next {duration(times.acknowledged)}.",
            "What you have found so far, if you like",
            "Say that I am looking into it",
        ),
        Choice(
            "more-time",
            "I need more time",
            f"That adds {duration(times.more_time)} at once.",
            "What you are waiting for",
            "Ask for more time",
        ),
        Choice(
            "solved",
            "It is solved",
            f"The limit is lifted at once, and we check for {duration(times.solved_check)}."
            if limited
            else f"We check for {duration(times.solved_check)}. "
            "If nobody has to wait any more, the case closes.",
            "What it was",
            "Say that it is solved",
        ),
        Choice(
            "dispute",
            "This is wrong",
            "One of our staff looks at the case. "
            + (
                "The limit runs out by itself."
                if limited
                else "Until then nothing happens by itself."
            ),
            "Why you think so",
            "Ask for a person to look",
        ),
    )
    offered = possible_answers(case)
    return tuple(choice for choice in known if choice.kind in offered)


def _history(entries: Sequence[TimelineEntry]) -> list[tuple[str, str, str]]:
    """When, what, and the customer's own words; oldest first."""
    lines = []
    for entry in entries:
        text, note = _told(entry), ""
        if entry.event.startswith("answered-"):
            note = entry.text.partition(_NOTE_MARK)[2]
        if text:
            lines.append((wording.moment(entry.at), text, note))
    return lines


def _told(entry: TimelineEntry) -> str:
    if entry.event in _AS_WRITTEN:
        return entry.text
    for kind, text in _SAID.items():
        if entry.event == f"answered-{kind}":
            return text
    return _EVENTS.get(entry.event, "").format(actor=_CHANNELS.get(entry.actor, "mailbox"))


ROUTES = (
    Route("GET", "/c/{token}", show, "public", "The customer's page of one case"),
    Route("POST", "/c/{token}/{answer}", answer, "public", "The customer answers"),
)
