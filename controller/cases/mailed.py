"""What mail that comes back does to a case. Pure.

A person's answer by mail counts as "acknowledge" does, once a case. What programs answer is on
record and counts for nothing. A first notice that bounced was not accepted for delivery after
all: whatever rested on it ends (promise 1).
"""

from __future__ import annotations

import msgspec

from controller.cases.answers import THEY_WROTE, answer
from controller.cases.model import Case, Step, TimelineEntry
from controller.cases.steps import step, with_limit_ended, without_limit
from controller.fairshare.policy import Policy


def replied(case: Case, words: str, policy: Policy, *, now: float) -> Step:
    """A person wrote. It stops the clock if nothing else did and a clock runs."""
    quoted = f"{THEY_WROTE}{words}" if words else ""
    if case.state in ("watching", "notified") and "acknowledge" not in case.answers:
        done = answer(case, "acknowledge", "", policy, now=now)
        counted = msgspec.structs.replace(
            done.entries[0],
            text=f"The customer answered by mail, so they have read the notice.{quoted}",
        )
        heard = msgspec.structs.replace(done.case, replied_at=now)
        return msgspec.structs.replace(done, case=heard, entries=(counted, *done.entries[1:]))
    text = f"The customer wrote by mail; {_why_nothing_changes(case)}.{quoted}"
    entry = TimelineEntry(at=now, event="replied", actor="customer", text=text)
    return step(case, entry, replied_at=now)


def auto_replied(case: Case, why: str, words: str, *, now: float) -> Step:
    """A program answered for the customer."""
    text = f"An automatic answer came back, which counts for nothing ({why}).{THEY_WROTE}{words}"
    return step(case, TimelineEntry(at=now, event="auto-reply", actor="mail", text=text))


def progressed(case: Case, delayed: bool, reason: str, *, now: float) -> Step:
    """A mail server tells how far a notice got."""
    event = "notice-delayed" if delayed else "notice-passed-on"
    return step(case, TimelineEntry(at=now, event=event, actor="mail", text=reason))


def bounced_in_part(case: Case, reason: str, *, now: float) -> Step:
    """A notice came back, but not from everybody whom it was accepted for."""
    entry = TimelineEntry(at=now, event="notice-bounced", actor="mail", text=reason)
    return step(case, entry)


def bounced(
    case: Case, notice: str, reason: str, *, again: bool, ordered_by_name: bool, now: float
) -> Step:
    """A notice reached nobody after all.

    `again`: it is due once more, by the ways that are left. `ordered_by_name`: the limit that
    stands was ordered by an operator, who needs no notice.
    """
    entry = TimelineEntry(at=now, event="notice-bounced", actor="mail", text=reason)
    if notice != case.notice or case.state == "closed" or case.answers:
        return step(case, entry)
    taken_back: dict[str, object] = {"notice_accepted_at": None, "deadline": None}
    held_because = f"the notice came back: {reason}"
    if case.state == "limited":
        if ordered_by_name:
            return step(case, entry, **taken_back)
        lifted = TimelineEntry(
            at=now,
            event="limit-ended",
            actor="rule",
            text="The limit is lifted: the notice that it rested on reached nobody.",
        )
        ended = without_limit(case, lifted, state="held", held_because=held_because, **taken_back)
        return with_limit_ended(msgspec.structs.replace(ended, entries=(entry, lifted)), case)
    if case.state == "held":
        return step(case, entry, **taken_back)
    if again:
        return step(case, entry, state="watching", **taken_back)
    return step(case, entry, state="held", held_because=held_because, **taken_back)


def _why_nothing_changes(case: Case) -> str:
    if case.state == "closed":
        return "the case is closed"
    if case.state == "held":
        return "a person decides this case"
    if case.state == "limited":
        return "the limit that stands ends by itself"
    return "they had answered before"
