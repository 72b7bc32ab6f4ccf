"""What a letter says will happen when, and what the customer can do: pure, in their words.

Times are worked out from when the letter is written. It is accepted no sooner than that, so no
limit comes before the time that is told here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from controller.cases.answers import possible_answers
from controller.cases.lifecycle import time_to_answer_seconds
from controller.cases.model import Case
from controller.contact import wording
from controller.contact.answering import TITLES, meanings
from controller.fairshare.policy import Policy
from controller.fairshare.sentence import duration
from controller.language.catalogue import Language
from controller.settings import Mode


@dataclass(frozen=True)
class Outlook:
    """What a letter is written from, besides the evidence."""

    case: Case
    policy: Policy
    mode: Mode
    written_at: float
    """Of this try: a letter may have waited for its reader's morning, or for a mail server."""
    language: Language
    zone: tzinfo

    @property
    def no_limit_before(self) -> float | None:
        """The earliest moment of a limit that nobody orders by name; None: there is none."""
        if self.mode != "enforce":
            return None
        deadline = self.case.deadline
        if deadline is not None and self.case.notice_accepted_at is not None:
            return deadline
        time_to_answer = time_to_answer_seconds(self.case, self.policy)
        return max(self.written_at + time_to_answer, deadline or 0.0)

    def moment(self, at: float) -> str:
        """A date and time in the reader's zone."""
        return wording.moment(at, self.language, self.zone)

    def distance(self, at: float) -> str:
        """How far away that is from this letter: "in 4 hours"."""
        return wording.from_now(at, self.written_at, self.language)


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
                "Your server keeps running. A limit is never below the fair share that it has "
                "then, lasts %(lease)s at most, and ends by itself.",
                lease=duration(of.policy.limit.lease, of.language),
            ),
        ),
        (gettext("If the load goes down"), _subsiding(of)),
    )


def answers(of: Outlook) -> tuple[tuple[str, str], ...]:
    """What can be answered, and what each answer brings about."""
    means = meanings(of.case, of.policy.times, of.mode, of.language)
    offered = possible_answers(of.case)
    return tuple(
        (of.language.gettext(title), means[kind])
        for kind, title in TITLES.items()
        if kind in offered
    )


def _with_limits(of: Outlook, earliest: float) -> Iterator[tuple[str, str]]:
    gettext = of.language.gettext
    left_seconds = earliest - of.written_at
    if left_seconds > 0:
        yield gettext("Until %(moment)s", moment=of.moment(earliest)), _time_left(of, left_seconds)
    yield gettext("After that") if left_seconds > 0 else gettext("Now"), _may_limit(of)
    yield (
        gettext("If it comes to a limit"),
        gettext(
            "Your server keeps running. A limit is never below the fair share that it has then, "
            "lasts %(lease)s at most, and ends by itself. In a day there are no more than %(most)s "
            "of it.",
            lease=duration(of.policy.limit.lease, of.language),
            most=duration(of.policy.limit.max_per_day, of.language),
        ),
    )
    yield gettext("If the load goes down"), _subsiding(of)


def _time_left(of: Outlook, left_seconds: float) -> str:
    gettext, time = of.language.gettext, duration(left_seconds, of.language)
    said = gettext(
        "Your server keeps running as it is, and nothing is limited. You have %(time)s from this "
        "message.",
        time=time,
    )
    if of.case.no_limit == "withdrawn":
        before = gettext(
            "When we first wrote to you about this, nothing was limited automatically on this "
            "machine. That is different now."
        )
        said = f"{before} {said}"
    if not of.case.repeat_of or of.policy.times.repeat_deadline_factor >= 1:
        return said
    why = gettext("That is less than usual, because we wrote to you about the same not long ago.")
    return f"{said} {why}"


def _may_limit(of: Outlook) -> str:
    gettext, resource = of.language.gettext, wording.resource_name(of.case.resource, of.language)
    if of.case.answers:
        return gettext(
            "If other customers' servers still have to wait, we may limit your server's "
            "%(resource)s for a while.",
            resource=resource,
        )
    return gettext(
        "If other customers' servers still have to wait, and we have not heard from you, we "
        "may limit your server's %(resource)s for a while.",
        resource=resource,
    )


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
        "When we have not seen it for %(time)s, we close the case and tell you.",
        time=duration(of.policy.times.subsides_after, of.language),
    )
