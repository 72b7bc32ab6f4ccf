"""What a customer can say to a case, and what it does. Pure.

Each kind counts once a case. An answer only ever moves the deadline away, never nearer.
"""

from __future__ import annotations

import msgspec

from controller.cases.model import AnswerKind, Case, Step, TimelineEntry
from controller.cases.steps import CaseRefused, step, with_limit_ended, without_limit
from controller.fairshare.policy import Policy
from controller.fairshare.sentence import duration

THEY_WROTE = " They wrote: "
"""Where the customer's own words begin in a line of the history."""


def possible_answers(case: Case) -> tuple[AnswerKind, ...]:
    """What the customer's page offers now."""
    match case.state:
        case "watching" | "notified":
            offered: tuple[AnswerKind, ...] = ("acknowledge", "more-time", "solved", "dispute")
        case "limited":
            offered = ("acknowledge", "solved", "dispute")
        case "held" | "closed":
            offered = ()
    return tuple(kind for kind in offered if kind not in case.answers)


def answer(case: Case, kind: AnswerKind, note: str, policy: Policy, *, now: float) -> Step:
    """Take the customer's answer, or raise CaseRefused with a sentence for them."""
    if kind not in possible_answers(case):
        raise CaseRefused(_why_not(case, kind))
    text = _TEXTS[kind] + (f"{THEY_WROTE}{note}" if note else "")
    entry = TimelineEntry(at=now, event=f"answered-{kind}", actor="customer", text=text)
    answers = (*case.answers, kind)
    if kind == "dispute":
        return _disputed(case, entry, answers)
    if case.state == "limited":
        return _answered_under_limit(case, kind, entry, answers, policy, now)
    added = {
        "acknowledge": policy.times.acknowledged,
        "more-time": policy.times.more_time,
        "solved": policy.times.solved_check,
    }[kind]
    start = max(case.deadline or now, now) if kind == "more-time" else now
    deadline = max(case.deadline or 0.0, start + added)
    stopped = TimelineEntry(
        at=now,
        event="deadline-moved",
        actor="rule",
        text=f"No limit for another {duration(deadline - now)} at least.",
    )
    return step(case, entry, stopped, answers=answers, deadline=deadline)


def _disputed(case: Case, entry: TimelineEntry, answers: tuple[AnswerKind, ...]) -> Step:
    """A person decides. A limit that stands is brief already and runs out by itself first."""
    if case.state == "limited":
        return step(case, entry, answers=answers)
    return step(case, entry, answers=answers, state="held", held_because="the customer disputes it")


def _answered_under_limit(
    case: Case,
    kind: AnswerKind,
    entry: TimelineEntry,
    answers: tuple[AnswerKind, ...],
    policy: Policy,
    now: float,
) -> Step:
    if kind != "solved":
        return step(case, entry, answers=answers)
    lifted = TimelineEntry(
        at=now,
        event="limit-ended",
        actor="customer",
        text="The customer says that it is solved: the limit is lifted, and the next minutes show.",
    )
    disputed = "dispute" in answers
    ended = without_limit(
        case,
        lifted,
        answers=answers,
        state="held" if disputed else "notified",
        held_because="the customer disputes it" if disputed else "",
        deadline=max(case.deadline or 0.0, now + policy.times.solved_check),
    )
    return with_limit_ended(msgspec.structs.replace(ended, entries=(entry, lifted)), case)


_TEXTS: dict[AnswerKind, str] = {
    "acknowledge": "The customer has read the notice and is looking into it.",
    "more-time": "The customer asks for more time.",
    "solved": "The customer says that it is solved.",
    "dispute": "The customer disputes it.",
}


def _why_not(case: Case, kind: AnswerKind) -> str:
    if case.state == "closed":
        return "This case is closed; there is nothing left to answer."
    if case.state == "held":
        return "A person at the provider is deciding this case; please write to them directly."
    if kind in case.answers:
        return "You have told us this already; it counts once for a case."
    return "This is not possible while a limit is in force; it ends by itself."
