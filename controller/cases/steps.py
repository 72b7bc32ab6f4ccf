"""What all transitions are made of: the next version of a case, its notices, its limit's end."""

from __future__ import annotations

import msgspec

from controller.cases.model import (
    Case,
    Closing,
    EndLimit,
    NoticeKind,
    QueueNotice,
    Step,
    TimelineEntry,
)


class CaseRefused(Exception):
    """What a person asked of a case makes no sense now; the message says why."""


def step(case: Case, *entries: TimelineEntry, **changes: object) -> Step:
    """The next version of the case, with its history's lines."""
    return Step(
        case=msgspec.structs.replace(case, version=case.version + 1, **changes), entries=entries
    )


def close(case: Case, closing: Closing, now: float, *, actor: str, text: str) -> Step:
    """Close the case, lifting its limit, and tell the customer if they know of either."""
    entry = TimelineEntry(at=now, event=f"closed-{closing}", actor=actor, text=text)
    ended = without_limit(
        case, entry, state="closed", closing=closing, closed_at=now, suspension=None
    )
    if case.limit is not None and case.limit.confirmed_at is not None:
        return with_notice(ended, "limit-ended")
    known = case.notice_accepted_at is not None or case.no_limit == "withdrawn"
    return with_notice(ended, "closed") if known else ended


def with_notice(done: Step, kind: NoticeKind) -> Step:
    """The same step, with a notice to the customer. Its id comes from the case's version."""
    notice = QueueNotice(id=f"{done.case.id}-{done.case.version}-{kind}", kind=kind)
    return msgspec.structs.replace(done, actions=(*done.actions, notice))


def with_limit_ended(done: Step, previous: Case) -> Step:
    """The same step, telling the customer that the limit is over if it stood."""
    if previous.limit is None or previous.limit.confirmed_at is None:
        return done
    return with_notice(done, "limit-ended")


def without_limit(case: Case, entry: TimelineEntry, **changes: object) -> Step:
    """The next version of the case with no limit; one that stood is no longer ordered."""
    ended = step(case, entry, limit=None, **changes)
    if case.limit is None:
        return ended
    return msgspec.structs.replace(
        ended, actions=(EndLimit(order=case.limit.order, reason=entry.text),)
    )
