"""What follows from an attempt to send a notice. Pure: time is an argument."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.cases.model import Case, State
from controller.contact.delivery import Refused
from controller.contact.notice import Queued
from controller.settings import Contact

_FIRST_RETRY_SECONDS = 10.0
_LONGEST_RETRY_SECONDS = 1800.0


@dataclass(frozen=True)
class RetryAt:
    """Try all channels again at this time."""

    at: float
    reason: str


@dataclass(frozen=True)
class GiveUp:
    """No channel will take the notice."""

    reason: str


class Attempted(Protocol):
    """What was tried: a letter of notices, or an announcement."""

    @property
    def id(self) -> str:
        """The message's, whichever try it is."""

    @property
    def tries(self) -> int:
        """How many went before."""

    @property
    def sending_since(self) -> float:
        """From when on the time to give up is counted."""


def retry_delay_seconds(tries: int, letter: str) -> float:
    """How long to wait after this many failed tries: 10 s, doubled each time, up to 30 min.

    Up to a tenth is added, by the letter's id, so that what failed together does not come back
    together (Standard Webhooks, "Deliverability and reliability").
    """
    delay = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(tries - 1, 16))
    return float(delay * (1 + 0.1 * zlib.crc32(letter.encode()) / 2**32))


def after_refusals(
    refusals: Sequence[Refused], letter: Attempted, settings: Contact, now: float
) -> RetryAt | GiveUp:
    """What to do when no channel has accepted this time.

    A retry falls on the end of `next_contact_after`, and the last one on that of `retry_for`, so
    that all of both is used.
    """
    reason = "; ".join(f"{refusal.channel}: {refusal.reason}" for refusal in refusals)
    if all(refusal.for_good for refusal in refusals):
        return GiveUp(reason)
    last_chance = letter.sending_since + settings.retry_for
    tries = letter.tries + 1
    if now >= last_chance:
        return GiveUp(f"not accepted in time, tried {tries} times; at last {reason}")
    at = now + retry_delay_seconds(tries, letter.id)
    next_contact_at = letter.sending_since + settings.next_contact_after
    if now < next_contact_at:
        at = min(at, next_contact_at)
    asked_for = max(refusal.again_after_seconds for refusal in refusals)
    at = max(at, now + min(asked_for, _LONGEST_RETRY_SECONDS))
    return RetryAt(min(at, last_chance), reason)


_TOO_LATE_TO_BEGIN: dict[State, str] = {
    "closed": "the case closed before the notice could be sent",
    "held": "an operator took the case over before the notice could be sent",
    "limited": "an operator ordered a limit before the notice could be sent, and that is told",
}
"""What it says of the time to answer and of the answers would not be so."""


def overtaken(notice: Queued, case: Case, now: float) -> str:
    """Why a notice that waited for long has nothing true to say any more; empty if it has."""
    kind, about = notice.kind, notice.document
    if kind == "first-notice" and case.state in _TOO_LATE_TO_BEGIN:
        return _TOO_LATE_TO_BEGIN[case.state]
    if kind == "limit-started" and (
        case.limit is None or about.limit is None or case.limit.order != about.limit.order
    ):
        return "the limit ended before the notice could be sent"
    if kind == "reminder" and (
        case.state != "notified"
        or case.answers
        or case.deadline != about.case.deadline
        or (case.deadline is not None and now >= case.deadline)
    ):
        return "the deadline that the customer was to be reminded of stands no more"
    return ""
