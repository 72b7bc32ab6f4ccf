"""What a customer can say to a case, and what it does. Pure.

Each kind counts once a case. An answer only ever moves the deadline away, never nearer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from controller.cases.model import AnswerKind, Case, Step, TimelineEntry
from controller.cases.steps import CaseRefused, close, step, with_limit_ended, without_limit
from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import Policy
from controller.fairshare.rule import decide
from controller.fairshare.sentence import duration

DISPUTE_DECIDED = (
    "One of our staff has looked at this case already; if you know something new, please write to "
    "us and name the case."
)
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
    entry = _entry(kind, note, now)
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
    solved_at = now if kind == "solved" else case.solved_at
    entries = (entry,) if deadline == case.deadline else (entry, _moved(deadline, now))
    return step(case, *entries, answers=answers, deadline=deadline, solved_at=solved_at)


def was_said(kind: AnswerKind, note: str, history: Sequence[TimelineEntry]) -> bool:
    """Whether the history has this answer with this very note: a form that was sent twice."""
    said = _entry(kind, note, now=0.0)
    return any((each.event, each.text) == (said.event, said.text) for each in history)


def _entry(kind: AnswerKind, note: str, now: float) -> TimelineEntry:
    text = with_note(_TEXTS[kind], note)
    return TimelineEntry(at=now, event=f"answered-{kind}", actor="customer", text=text)


def _moved(deadline: float, now: float) -> TimelineEntry:
    text = f"No limit for another {duration(deadline - now)} at least."
    return TimelineEntry(at=now, event="deadline-moved", actor="rule", text=text)


def check_solved(case: Case, verdict: Verdict, policy: Policy) -> Step | None:
    """What became of "it is solved", once its time is over: the case closes, or goes on.

    The rule is asked about the time since then alone; `verdict` may still see what was before.
    """
    now, given = verdict.decided_at, policy.times.solved_check
    if case.solved_at is None or case.state not in ("watching", "notified"):
        return None
    if now < case.solved_at + given:
        return None
    samples = [each for each in verdict.samples if each.ended_at - each.seconds >= case.solved_at]
    rule = msgspec.structs.replace(policy.rule, window=min(policy.rule.window, given))
    checked = decide(samples, case.resource, rule, now=now).outcome
    if checked == "not-measured":
        return None
    text = f"Measured for {duration(given)} after the customer said that it is solved: {checked}."
    if checked != "disproportionate":
        return close(case, "resolved", now, actor="rule", text=text)
    entry = TimelineEntry(at=now, event="not-solved", actor="rule", text=text)
    return step(case, entry, solved_at=None)


def with_note(text: str, note: str) -> str:
    """A line of the history with the customer's own words at its end."""
    return f"{text}{THEY_WROTE}{note}" if note else text


def why_not_now(case: Case) -> str:
    """Why the state of the case takes none of these answers, for the customer."""
    if case.state == "closed":
        return "This case is closed; there is nothing left to answer."
    if case.state == "held":
        return "A person at the provider is deciding this case; please write to them directly."
    return "This is not possible while a limit is in force; it ends by itself."


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
    ended = without_limit(
        case,
        lifted,
        answers=answers,
        state="held" if case.is_disputed else "notified",
        held_because="the customer disputes it" if case.is_disputed else "",
        deadline=max(case.deadline or 0.0, now + policy.times.solved_check),
        solved_at=now,
    )
    return with_limit_ended(msgspec.structs.replace(ended, entries=(entry, lifted)), case)


_TEXTS: dict[AnswerKind, str] = {
    "acknowledge": "The customer has read the notice and is looking into it.",
    "more-time": "The customer asks for more time.",
    "solved": "The customer says that it is solved.",
    "dispute": "The customer disputes it.",
}


def _why_not(case: Case, kind: AnswerKind) -> str:
    if case.state not in ("closed", "held") and kind in case.answers:
        if kind == "dispute" and not case.is_disputed:
            return DISPUTE_DECIDED
        return "You have told us this already; it counts once for a case."
    return why_not_now(case)
