"""What a host's newest interval brings about for its cases: pure, the same live and in a replay.

Each function yields the steps one after another; whoever asked stores each before taking the
next, because the next one rests on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from controller.cases import answers, lifecycle, limiting, reminding, suspending
from controller.cases.limiting import Circumstances
from controller.cases.model import Case, Step
from controller.fairshare.evidence import Verdict
from controller.fairshare.interval import Interval
from controller.fairshare.policy import Policy
from controller.settings import Mode
from fairuse_protocol.limits import LimiterState


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a host as one of its cases is looked at."""

    newest: Interval
    silent_seconds: float
    """What was not measured between the newest interval and the one before it."""
    limiter: LimiterState | None
    """What its limiter said it holds; None: nothing was heard of it."""
    limits_show: bool = True
    """Whether a limit would show in what is measured: not in a recorded trace."""


def review(
    case: Case, verdict: Verdict, scene: Scene, policy: Policy, circumstances: Circumstances
) -> Iterator[Step]:
    """One open case in the light of its host's newest interval."""
    now = verdict.decided_at
    agreed = lifecycle.see_agreement(case, verdict)
    if agreed is not None:
        yield agreed
        return
    if scene.silent_seconds > policy.rule.window / 2:
        done = lifecycle.after_silence(case, scene.silent_seconds, policy, now=now)
        yield done
        case = done.case
        if case.state == "closed":
            return
    unwilling = suspending.see_limiter(case, scene.limiter, now=now)
    if unwilling is not None:
        yield unwilling
        case = unwilling.case
    if case.limit is None:
        yield from _without_limit(case, verdict, scene, policy, circumstances)
        return
    if circumstances.mode == "observe":
        reason = 'The provider set this host to "observe": nothing is limited here.'
        ended = limiting.suspend_limit(case, now=now, by="configuration", reason=reason)
        if ended is not None:
            yield ended
        return
    for done in _hear_limiter(case, scene.limiter, policy, now):
        yield done
        case = done.case
    adjusted = limiting.adjust(case, verdict, scene.newest, policy, effect_shows=scene.limits_show)
    if adjusted is not None:
        yield adjusted


def open_case(
    name: Callable[[], str],
    host: str,
    tenant: str,
    verdict: Verdict,
    previous: Case | None,
    policy: Policy,
    mode: Mode,
) -> Iterator[Step]:
    """A case about a suspect, if there is reason for one. `name` gives the new case's id."""
    if (
        verdict.outcome != "disproportionate"
        or not limiting.is_over_now(verdict)
        or lifecycle.is_exempt(verdict.samples[-1])
        or not lifecycle.may_open(previous, policy, verdict.decided_at)
    ):
        return
    opened = lifecycle.open_case(name(), host, tenant, verdict, policy, previous)
    yield opened
    seen = lifecycle.see_verdict(opened.case, verdict, policy, mode)
    if seen is not None:
        yield seen


def begins_after(previous: Case) -> float:
    """From when on intervals count towards a new case: what one was about opens no other."""
    return previous.closed_at or 0.0


def _without_limit(
    case: Case, verdict: Verdict, scene: Scene, policy: Policy, circumstances: Circumstances
) -> Iterator[Step]:
    checked = answers.check_solved(case, verdict, policy)
    if checked is not None:
        yield checked
        case = checked.case
        if case.state == "closed":
            return
    present = case.tenant in scene.newest.tenants
    seen = lifecycle.see_verdict(case, verdict, policy, circumstances.mode, present=present)
    if seen is not None:
        yield seen
        case = seen.case
    if case.state == "closed":
        return
    reminder = reminding.due_reminder(case, verdict, policy, circumstances)
    if reminder is not None:
        yield reminder
        case = reminder.case
    due = limiting.due_limit(case, verdict, scene.newest, policy, circumstances)
    if due is not None:
        yield due


def _hear_limiter(
    case: Case, limiter: LimiterState | None, policy: Policy, now: float
) -> Iterator[Step]:
    if limiter is None or case.limit is None:
        return
    order = case.limit.order
    if any(held.order == order for held in limiter.held):
        confirmed = limiting.confirmed(case, now=now)
        if confirmed is not None:
            yield confirmed
            case = confirmed.case
    for refusal in limiter.refused:
        refused = limiting.refused(case, refusal, policy, now=now)
        if refused is not None:
            yield refused
            case = refused.case
