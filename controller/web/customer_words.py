"""What the customer's page says of answers, requests and history, in their language. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.cases.answers import THEY_WROTE, possible_answers
from controller.cases.model import (
    AnswerKind,
    Case,
    CustomerRequest,
    RequestKind,
    TimelineEntry,
)
from controller.cases.requests import possible_requests
from controller.contact import wording
from controller.contact.answering import TITLES, meanings
from controller.contact.requested import REFUSED, what_was_asked
from controller.fairshare.agreement import Agreement
from controller.fairshare.policy import Times
from controller.language.catalogue import ENGLISH, Language, message
from controller.language.figures import duration
from controller.settings import Mode
from controller.web.customer_reader import Reader

Saying = AnswerKind | RequestKind
"""Whatever a customer can say: what moves the case, and what a person has to decide."""


@dataclass(frozen=True)
class Choice:
    """One thing that the customer can say."""

    kind: Saying
    title: str
    meaning: str
    note_label: str
    button: str
    folded: bool
    """Shown by its title until it is opened: what few need."""


@dataclass(frozen=True)
class Asked:
    """One request, as the customer reads of it."""

    what: str
    standing: str
    answer: str


SAID: dict[Saying, str] = {
    "acknowledge": message("You said that you are looking into it."),
    "more-time": message("You asked for more time."),
    "solved": message("You said that it is solved."),
    "agreement": message("You asked for a special agreement. One of our staff will decide."),
    "load-test": message("You told us of a load test. One of our staff will decide."),
    "dispute": message("You said that we are wrong. One of our staff will look at it."),
}
_CHOICES: dict[Saying, tuple[str, str, str]] = {
    "solved": (
        TITLES["solved"],
        message("What it was"),
        message("Say that it is solved"),
    ),
    "acknowledge": (
        TITLES["acknowledge"],
        message("What you have found so far, if you like"),
        message("Say that I am looking into it"),
    ),
    "more-time": (
        TITLES["more-time"],
        message("What you are waiting for"),
        message("Ask for more time"),
    ),
    "dispute": (
        TITLES["dispute"],
        message("Why you think so"),
        message("Ask for a person to look"),
    ),
    "agreement": (
        message("I need this much as a rule"),
        message("How much you need, and what for"),
        message("Ask for a special agreement"),
    ),
    "load-test": (
        message("This is, or will be, a load test"),
        message("What you are going to test"),
        message("Ask for consent to the test"),
    ),
}
_FOLDED: tuple[Saying, ...] = ("agreement", "load-test")
_EVENTS = {
    "opened": message("We saw other customers' servers waiting, and this case was opened."),
    "notice-failed": message("Our message could not be delivered."),
    "notice-bounced": message("Our message came back from a mail server."),
    "replied": message("You wrote to us by mail."),
    "auto-reply": message("An automatic answer came back from your mailbox."),
    "limit-started": message("A limit started."),
    "limit-ended": message("The limit ended."),
    "suspended": message("One of our staff stopped everything on your server for a short while."),
    "suspension-ended": message("Your server went on where it was stopped."),
    "held": message("One of our staff took over the case."),
    "released": message("One of our staff let the case go on."),
    "dispute-decided": message("One of our staff looked at what you disputed. The case goes on."),
    "not-solved": message(
        "We checked: the load is still there, and others still have to wait. The case goes on."
    ),
    "closed-subsided": message("We no longer saw it, and the case was closed."),
    "closed-resolved": message("You had solved it, and the case was closed."),
    "closed-agreed": message("This use was agreed with you, and the case was closed."),
    "closed-dismissed": message("One of our staff closed the case."),
    "closed-relieved": message("The limit was over, and the case was closed."),
    "asked-more-time": message("You asked for more time than we give at once."),
    "asked-agreement": message("You asked for a special agreement."),
    "asked-load-test": message("You told us of a load test."),
    "granted-more-time": message("We gave you more time."),
    "granted-agreement": message("We agreed to what you asked for."),
    "granted-load-test": message("We consented to your load test."),
    **{f"refused-{kind}": said for kind, said in REFUSED.items()},
    **{f"answered-{kind}": said for kind, said in SAID.items()},
}
"""What each event says to a customer. Others are the provider's own business, and not shown."""
_WITH_THEIR_WORDS = ("answered-", "asked-", "replied", "auto-reply")
"""How the events begin that the customer's own words stand in."""
_REACHED = {
    "email": message("Our message was sent to you by mail."),
    "webhook": message("Our message reached your webhook."),
    "command": message("Our message was passed on to you."),
}
_REACHED_OTHERWISE = message("Our message was sent to you.")
_IN_SHORT = {
    "deadline-moved": message("The time to answer became longer."),
    "limit-changed": message("The limit was changed."),
    "effect-measured": message("We measured how much the limit helped."),
}
"""The history is kept in English, which tells these with their figures."""
REFUSALS = (
    message("This case is closed; there is nothing left to answer."),
    message("A person at the provider is deciding this case; please write to them directly."),
    message("You have told us this already; it counts once for a case."),
    message(
        "One of our staff has looked at this case already; if you know something new, please write "
        "to us and name the case."
    ),
    message("You have asked for this already; one of our staff will decide."),
    message("This is not possible while a limit is in force; it ends by itself."),
)
"""As `controller.cases.answers` and `requests` put them: here for the catalogues."""


def refusal(reason: str, language: Language = ENGLISH) -> str:
    """Why an answer was not taken; as it is where the catalogues do not have it."""
    return language.gettext(reason) if reason in REFUSALS else reason


def choices(
    case: Case, times: Times, mode: Mode, language: Language = ENGLISH, *, now: float
) -> tuple[Choice, ...]:
    """What the page offers now."""
    means = _meanings(case, times, mode, language, now)
    answers = (kind for kind in possible_answers(case) if kind != "more-time")
    offered: set[Saying] = {*answers, *possible_requests(case)}
    return tuple(
        Choice(
            kind,
            title=language.gettext(title),
            meaning=means[kind],
            note_label=language.gettext(note_label),
            button=language.gettext(button),
            folded=kind in _FOLDED,
        )
        for kind, (title, note_label, button) in _CHOICES.items()
        if kind in offered
    )


def asked(requests: Iterable[CustomerRequest], reader: Reader) -> tuple[Asked, ...]:
    """What the customer has asked for, and what was said to it; the newest first."""
    return tuple(
        Asked(
            what_was_asked(each, reader.language, reader.zone),
            _standing(each, reader),
            each.answer,
        )
        for each in reversed(tuple(requests))
    )


def agreed(agreement: Agreement, reader: Reader) -> str:
    """One agreement or consent, as the customer may read it back."""
    language = reader.language
    values = {
        "resource": (
            wording.resource_name(agreement.resource, language)
            if agreement.resource
            else language.gettext("every resource")
        ),
        "start": reader.moment(agreement.begins_at),
        "end": reader.end(agreement.ends_at),
        "name": agreement.agreed_with,
    }
    match agreement.kind:
        case "share":
            return language.gettext(
                "Your server may use up to %(share)s of the machine (%(resource)s), from "
                "%(start)s until %(end)s. Agreed with %(name)s.",
                share=wording.percent(agreement.share, language),
                **values,
            )
        case "exempt":
            return language.gettext(
                "What your server uses is not counted (%(resource)s), from %(start)s until "
                "%(end)s. Agreed with %(name)s.",
                **values,
            )
        case "test":
            return language.gettext(
                "You have our consent to a load test (%(resource)s), from %(start)s until "
                "%(end)s. Agreed with %(name)s.",
                **values,
            )


def history(entries: Sequence[TimelineEntry], reader: Reader) -> list[tuple[str, str, str]]:
    """When, what, and what was written to it; oldest first."""
    lines = []
    for entry in entries:
        text, note = _told(entry, reader.language), ""
        if entry.event.startswith(_WITH_THEIR_WORDS):
            note = entry.text.partition(THEY_WROTE)[2]
        elif entry.event.startswith(("granted-", "refused-", "dispute-decided")):
            note = entry.text
        if text:
            lines.append((reader.moment(entry.at), text, note))
    return lines


def _standing(request: CustomerRequest, reader: Reader) -> str:
    language = reader.language
    if request.decided_at is None:
        return language.gettext("One of our staff will decide. You see it here.")
    decided = reader.moment(request.decided_at)
    if request.state == "granted":
        return language.gettext("Granted on %(moment)s.", moment=decided)
    return language.gettext("Not granted, on %(moment)s.", moment=decided)


def _meanings(
    case: Case, times: Times, mode: Mode, language: Language, now: float
) -> dict[Saying, str]:
    left_seconds = max(0.0, (case.deadline or now) - now)
    means: dict[Saying, str] = dict(
        meanings(case, times, mode, language, left_seconds=left_seconds).items()
    )
    if "more-time" in case.answers:
        means["more-time"] = language.gettext(
            "You had %(time)s already; one of our staff decides.",
            time=duration(times.more_time, language),
        )
    return {
        **means,
        "agreement": language.gettext(
            "We can agree on a larger share for your server. One of our staff decides, and you see "
            "the answer here."
        ),
        "load-test": language.gettext(
            "With our consent a test makes no case. One of our staff decides, and you see the "
            "answer here."
        ),
    }


def _told(entry: TimelineEntry, language: Language) -> str:
    if entry.event == "notice-accepted":
        return language.gettext(_REACHED.get(entry.actor, _REACHED_OTHERWISE))
    if entry.event in _IN_SHORT:
        return entry.text if language == ENGLISH else language.gettext(_IN_SHORT[entry.event])
    return language.gettext(_EVENTS[entry.event]) if entry.event in _EVENTS else ""
