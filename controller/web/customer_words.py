"""What the customer's page says of answers and of the case's history, in their language. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.cases.answers import THEY_WROTE, possible_answers
from controller.cases.model import AnswerKind, Case, TimelineEntry
from controller.contact import wording
from controller.fairshare.policy import Times
from controller.language.catalogue import ENGLISH, Language, message
from controller.language.figures import duration


@dataclass(frozen=True)
class Choice:
    """One thing that the customer can say."""

    kind: AnswerKind
    title: str
    meaning: str
    note_label: str
    button: str


SAID: dict[AnswerKind, str] = {
    "acknowledge": message("You said that you are looking into it."),
    "more-time": message("You asked for more time."),
    "solved": message("You said that it is solved."),
    "dispute": message("You said that we are wrong. One of our staff will look at it."),
}
_CHOICES: dict[AnswerKind, tuple[str, str, str]] = {
    "acknowledge": (
        message("I am looking into it"),
        message("What you have found so far, if you like"),
        message("Say that I am looking into it"),
    ),
    "more-time": (
        message("I need more time"),
        message("What you are waiting for"),
        message("Ask for more time"),
    ),
    "solved": (
        message("It is solved"),
        message("What it was"),
        message("Say that it is solved"),
    ),
    "dispute": (
        message("This is wrong"),
        message("Why you think so"),
        message("Ask for a person to look"),
    ),
}
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
    "closed-subsided": message("The load went down, and the case was closed."),
    "closed-resolved": message("You had solved it, and the case was closed."),
    "closed-agreed": message("This use was agreed with you, and the case was closed."),
    "closed-dismissed": message("One of our staff closed the case."),
    "closed-relieved": message(
        "The machine had room again or the limit's time was over. Case closed."
    ),
    **{f"answered-{kind}": said for kind, said in SAID.items()},
}
"""What each event says to a customer. Others are the provider's own business, and not shown."""
_WITH_THEIR_WORDS = ("answered-", "replied", "auto-reply")
"""How the events begin that the customer's own words stand in."""
_REACHED = {
    "email": message("Our message reached your mail server."),
    "webhook": message("Our message reached your webhook."),
    "command": message("Our message was passed on to you."),
}
_REACHED_OTHERWISE = message("Our message reached your mailbox.")
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
    message("This is not possible while a limit is in force; it ends by itself."),
)
"""As `controller.cases.answers` puts them: here for the catalogues."""


def refusal(reason: str, language: Language = ENGLISH) -> str:
    """Why an answer was not taken; as it is where the catalogues do not have it."""
    return language.gettext(reason) if reason in REFUSALS else reason


def choices(case: Case, times: Times, language: Language = ENGLISH) -> tuple[Choice, ...]:
    """What the page offers now."""
    meanings = _meanings_under_limit if case.state == "limited" else _meanings
    means = meanings(times, language)
    offered = possible_answers(case)
    return tuple(
        Choice(
            kind,
            title=language.gettext(title),
            meaning=means[kind],
            note_label=language.gettext(note_label),
            button=language.gettext(button),
        )
        for kind, (title, note_label, button) in _CHOICES.items()
        if kind in offered
    )


def history(
    entries: Sequence[TimelineEntry], language: Language = ENGLISH
) -> list[tuple[str, str, str]]:
    """When, what, and the customer's own words; oldest first."""
    lines = []
    for entry in entries:
        text, note = _told(entry, language), ""
        if entry.event.startswith(_WITH_THEIR_WORDS):
            note = entry.text.partition(THEY_WROTE)[2]
        if text:
            lines.append((wording.moment(entry.at, language), text, note))
    return lines


def _meanings(times: Times, language: Language) -> dict[AnswerKind, str]:
    return {
        "acknowledge": language.gettext(
            "Nothing is limited for the next %(time)s.", time=duration(times.acknowledged, language)
        ),
        "more-time": language.gettext(
            "That adds %(time)s at once.", time=duration(times.more_time, language)
        ),
        "solved": language.gettext(
            "We check for %(time)s. If nobody has to wait any more, the case closes.",
            time=duration(times.solved_check, language),
        ),
        "dispute": language.gettext(
            "One of our staff looks at the case. Until then nothing happens by itself."
        ),
    }


def _meanings_under_limit(times: Times, language: Language) -> dict[AnswerKind, str]:
    return {
        **_meanings(times, language),
        "acknowledge": language.gettext("We know that you have seen this."),
        "solved": language.gettext(
            "The limit is lifted at once, and we check for %(time)s.",
            time=duration(times.solved_check, language),
        ),
        "dispute": language.gettext(
            "One of our staff looks at the case. The limit runs out by itself."
        ),
    }


def _told(entry: TimelineEntry, language: Language) -> str:
    if entry.event == "notice-accepted":
        return language.gettext(_REACHED.get(entry.actor, _REACHED_OTHERWISE))
    if entry.event in _IN_SHORT:
        return entry.text if language == ENGLISH else language.gettext(_IN_SHORT[entry.event])
    return language.gettext(_EVENTS[entry.event]) if entry.event in _EVENTS else ""
