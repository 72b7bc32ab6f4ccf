"""What a letter says will happen when, and what the customer can do: pure, in their words.

Times are worked out from when the notice was queued, so that the same notice says the same when
it is sent again. It is accepted no sooner than that, so no limit comes before the time that is
told here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from controller.cases.answers import possible_answers
from controller.cases.lifecycle import time_to_answer_seconds
from controller.cases.model import AnswerKind, Case
from controller.contact import wording
from controller.fairshare.policy import Policy, Times
from controller.fairshare.sentence import amount, duration
from controller.language.catalogue import Language, message
from controller.settings import Mode

_TITLES: dict[AnswerKind, str] = {
    "acknowledge": message("I am looking into it"),
    "more-time": message("I need more time"),
    "solved": message("It is solved"),
    "dispute": message("This is wrong"),
}


@dataclass(frozen=True)
class Outlook:
    """What a letter is written from, besides the evidence."""

    case: Case
    policy: Policy
    mode: Mode
    queued_at: float
    language: Language
    zone: tzinfo

    @property
    def no_limit_before(self) -> float | None:
        """The earliest moment of a limit that nobody orders by name; None: there is none."""
        if self.mode != "enforce":
            return None
        if self.case.deadline is not None:
            return self.case.deadline
        return self.queued_at + time_to_answer_seconds(self.case, self.policy)

    def moment(self, at: float) -> str:
        """A date and time in the reader's zone."""
        return wording.moment(at, self.language, self.zone)

    def distance(self, at: float) -> str:
        """How far away that is from this letter: "in 4 hours"."""
        return wording.from_now(at, self.queued_at, self.language)


def what_happens(of: Outlook) -> tuple[tuple[str, str], ...]:
    """What comes when, in order: the moment or the condition, and what then."""
    if of.no_limit_before is None:
        return tuple(_without_limits(of))
    return tuple(_with_limits(of, of.no_limit_before))


def what_happens_to_several(of: Outlook) -> tuple[tuple[str, str], ...]:
    """As `what_happens`, of several cases, whose moments and shares are told with each."""
    if of.no_limit_before is None:
        return tuple(_without_limits(of))
    gettext = of.language.gettext
    return (
        (
            gettext("Until the time that stands with each"),
            gettext("Your server keeps running as it is, and nothing is limited."),
        ),
        (
            gettext("After that"),
            gettext(
                "If other customers' servers still have to wait, and we have not heard from you, "
                "we may limit what they wait for, for a while."
            ),
        ),
        (
            gettext("If it comes to a limit"),
            gettext(
                "Your server keeps running. A limit is never below its fair share, lasts "
                "%(lease)s at most, and ends by itself.",
                lease=duration(of.policy.limit.lease, of.language),
            ),
        ),
        (gettext("If the load goes down"), _subsiding(of)),
    )


def answers(of: Outlook) -> tuple[tuple[str, str], ...]:
    """What can be answered, and what each answer brings about."""
    means = _meanings(of)
    offered = possible_answers(of.case)
    return tuple(
        (of.language.gettext(title), means[kind])
        for kind, title in _TITLES.items()
        if kind in offered
    )


def _with_limits(of: Outlook, earliest: float) -> Iterator[tuple[str, str]]:
    gettext, resource = of.language.gettext, wording.resource_name(of.case.resource, of.language)
    share = amount(of.case.resource, of.case.verdict.average_fair_share, of.language)
    yield (
        gettext("Until %(moment)s", moment=of.moment(earliest)),
        gettext(
            "Your server keeps running as it is, and nothing is limited. You have %(time)s from "
            "this message.",
            time=duration(max(0.0, earliest - of.queued_at), of.language),
        ),
    )
    yield (
        gettext("After that"),
        gettext(
            "If other customers' servers still have to wait, and we have not heard from you, we "
            "may limit your server's %(resource)s for a while.",
            resource=resource,
        ),
    )
    yield (
        gettext("If it comes to a limit"),
        gettext(
            "Your server keeps running. A limit is never below its fair share of %(share)s, lasts "
            "%(lease)s at most, and ends by itself. In a day there are no more than %(most)s "
            "of it.",
            share=share,
            lease=duration(of.policy.limit.lease, of.language),
            most=duration(of.policy.limit.max_per_day, of.language),
        ),
    )
    yield gettext("If the load goes down"), _subsiding(of)


def _without_limits(of: Outlook) -> Iterator[tuple[str, str]]:
    gettext = of.language.gettext
    yield gettext("Now"), gettext("Nothing is limited automatically.")
    yield (
        gettext("If the load goes on"),
        gettext("One of our staff may look at it and get in touch with you."),
    )
    yield gettext("If the load goes down"), _subsiding(of)


def _subsiding(of: Outlook) -> str:
    return of.language.gettext(
        "When nobody has had to wait for %(time)s, we close the case and tell you.",
        time=duration(of.policy.times.subsides_after, of.language),
    )


def _meanings(of: Outlook) -> dict[AnswerKind, str]:
    gettext, times = of.language.gettext, of.policy.times
    solved = gettext(
        "We check for %(time)s. If nobody has to wait any more, the case closes.",
        time=duration(times.solved_check, of.language),
    )
    if of.case.state == "limited":
        return {
            "acknowledge": gettext("We know that you have seen this."),
            "more-time": "",
            "solved": gettext(
                "The limit is lifted at once, and we check for %(time)s.",
                time=duration(times.solved_check, of.language),
            ),
            "dispute": gettext("One of our staff looks at the case. The limit runs out by itself."),
        }
    return {
        **_meanings_of_time(of, times),
        "solved": solved,
        "dispute": gettext(
            "One of our staff looks at the case. Until then nothing happens by itself."
        ),
    }


def _meanings_of_time(of: Outlook, times: Times) -> dict[AnswerKind, str]:
    gettext = of.language.gettext
    if of.mode != "enforce":
        return {
            "acknowledge": gettext("We know that you have seen this."),
            "more-time": gettext("We know that it takes longer."),
        }
    return {
        "acknowledge": gettext(
            "Nothing is limited for the next %(time)s.",
            time=duration(times.acknowledged, of.language),
        ),
        "more-time": gettext(
            "That adds %(time)s at once.", time=duration(times.more_time, of.language)
        ),
    }
