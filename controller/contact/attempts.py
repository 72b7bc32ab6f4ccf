"""What follows from an attempt to send a notice. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.cases.model import Case, NoticeDocument, NoticeKind
from controller.contact.delivery import Refused

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


def retry_delay_seconds(tries: int) -> float:
    """How long to wait after this many failed tries: 10 s, doubled each time, up to 30 min."""
    return float(min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(tries - 1, 16)))


def after_refusals(
    refusals: Sequence[Refused], *, tries: int, queued_at: float, now: float, retry_for: float
) -> RetryAt | GiveUp:
    """What to do when no channel has accepted. `tries` counts this one too.

    The last retry falls on the end of `retry_for`, so that all of that time is used.
    """
    reason = "; ".join(f"{refusal.channel}: {refusal.reason}" for refusal in refusals)
    if all(refusal.for_good for refusal in refusals):
        return GiveUp(reason)
    last_chance = queued_at + retry_for
    if now >= last_chance:
        return GiveUp(f"not accepted in time, tried {tries} times; at last {reason}")
    return RetryAt(min(now + retry_delay_seconds(tries), last_chance), reason)


def overtaken(kind: NoticeKind, about: NoticeDocument, case: Case) -> str:
    """Why a notice that waited for long has nothing true to say any more; empty if it has."""
    if kind == "first-notice" and case.state == "closed":
        return "the case closed before the notice could be sent"
    if kind == "limit-started" and (
        case.limit is None or about.limit is None or case.limit.order != about.limit.order
    ):
        return "the limit ended before the notice could be sent"
    return ""
