"""The part of a case's life that has to do with its limit: order, change, end. Pure.

Promise 1 lives here: `due_limit` asks for an accepted notice and a deadline that has passed, and
`order_by_name` for an operator with a reason. The database refuses an order that has neither.
"""

from __future__ import annotations

import msgspec

from controller.cases.allowance import (
    Change,
    End,
    Keep,
    first_allowance,
    former_use_fits,
    mean_waiting,
    next_allowance,
    since,
    to_allowance,
)
from controller.cases.model import (
    Case,
    Effect,
    OrderLimit,
    StandingLimit,
    Step,
    TimelineEntry,
)
from controller.cases.steps import (
    CaseRefused,
    close,
    step,
    with_limit_ended,
    with_notice,
    without_limit,
)
from controller.fairshare.evidence import Verdict
from controller.fairshare.interval import Interval
from controller.fairshare.policy import Policy, Rule, keep_rule
from controller.fairshare.sentence import amount, duration, percent
from controller.settings import Mode
from fairuse_protocol.limits import RefusedLimit
from fairuse_protocol.messages import Message

DAY_SECONDS = 86400.0
RETRIED_PROMISES = (4, 8)
"""A refusal on these grounds (not over just now; too many at a time) is tried again later."""


class Circumstances(Message):
    """What besides the case decides whether a limit may start."""

    mode: Mode
    paused: bool = False
    limits_on_host: int = 0
    limits_in_fleet: int = 0
    limited_seconds: float = 0.0
    """How long the tenant has been limited on this host in the last day."""


def due_limit(
    case: Case,
    verdict: Verdict,
    interval: Interval,
    policy: Policy,
    circumstances: Circumstances,
) -> Step | None:
    """The limit that is due after contact and deadline, if it is (promises 1, 4, 7 and 8)."""
    now = verdict.decided_at
    if (
        case.state != "notified"
        or case.notice_accepted_at is None
        or case.deadline is None
        or now < case.deadline
        or case.no_limit == "promised"
        or circumstances.mode != "enforce"
        or verdict.outcome != "disproportionate"
        or case.is_disputed
        or not is_over_now(verdict)
        or _no_room(policy, circumstances)
        or _limited_enough(policy, circumstances)
    ):
        return None
    return _order(
        case, verdict, interval, policy, now, by=None, reason="the deadline passed without change"
    )


def order_by_name(
    case: Case,
    verdict: Verdict,
    interval: Interval,
    policy: Policy,
    circumstances: Circumstances,
    *,
    by: str,
    reason: str,
) -> Step:
    """An operator orders the limit now, deadline or not."""
    if case.state not in ("watching", "notified", "held"):
        raise CaseRefused(f"a limit cannot be ordered for a case that is {case.state}")
    if circumstances.mode == "observe":
        raise CaseRefused('mode is "observe": nobody is limited; set it to "contact" or "enforce"')
    if circumstances.paused:
        raise CaseRefused("all enforcement is paused; resume it first")
    if not is_over_now(verdict):
        raise CaseRefused("the tenant is not over its fair share now (promise 4)")
    if _no_room(policy, circumstances):
        raise CaseRefused("as many limits as the policy allows stand already (promise 8)")
    if _limited_enough(policy, circumstances):
        raise CaseRefused(
            f"the tenant has been limited for {duration(circumstances.limited_seconds)} of the "
            f"last day; another {duration(policy.limit.lease)} would be more than the "
            f"{duration(policy.limit.max_per_day)} that the policy allows"
        )
    return _order(case, verdict, interval, policy, verdict.decided_at, by=by, reason=reason)


def is_over_now(verdict: Verdict) -> bool:
    """Whether the newest interval is new enough, and over the fair share in it (promise 4).

    A host whose spool is being emptied tells of the past; three intervals and some seconds for
    the way are new enough.
    """
    if not verdict.samples:
        return False
    newest = verdict.samples[-1]
    age_seconds = verdict.decided_at - newest.ended_at
    return newest.used > newest.fair_share and age_seconds <= 3 * newest.seconds + 5


def confirmed(case: Case, *, now: float) -> Step | None:
    """The host says for the first time that the limit stands: now the customer is told."""
    if case.limit is None or case.limit.confirmed_at is not None:
        return None
    limit = msgspec.structs.replace(case.limit, confirmed_at=now)
    entry = TimelineEntry(
        at=now,
        event="limit-started",
        actor="limiter",
        text=f"The host holds the tenant to {amount(case.resource, limit.allowance)}.",
    )
    return with_notice(step(case, entry, limit=limit), "limit-started")


def refused(case: Case, refusal: RefusedLimit, policy: Policy, *, now: float) -> Step | None:
    """The host's limiter will not: try again later, or ask a person."""
    if case.limit is None or case.limit.order != refusal.order:
        return None
    entry = TimelineEntry(at=now, event="limit-refused", actor="limiter", text=refusal.reason)
    if refusal.promise in RETRIED_PROMISES and case.deadline is not None:
        again_at = max(case.deadline, now + policy.limit.step_every)
        return _over(case, entry, state="notified", deadline=again_at)
    return _over(case, entry, state="held", held_because=f"the limiter refused: {refusal.reason}")


def adjust(
    case: Case,
    verdict: Verdict,
    interval: Interval,
    policy: Policy,
    *,
    effect_shows: bool = True,
) -> Step | None:
    """Step down, ease or end the standing limit by what it did to the neighbours' waiting.

    In a recorded trace no effect shows: there only room for the former use ends it.
    """
    limit, now = case.limit, verdict.decided_at
    if limit is None or limit.confirmed_at is None:
        return None
    if not effect_shows:
        since_start = since(verdict.samples, limit.changed_at)
        fits = former_use_fits(limit, since_start, policy.rule.thresholds(case.resource))
        roomy = fits and now - limit.changed_at >= policy.limit.step_every
        return _has_room(case, now) if roomy else None
    case = msgspec.structs.replace(case, effect=_effect(case, verdict))
    thresholds = policy.rule.thresholds(case.resource)
    match next_allowance(
        limit,
        verdict.samples,
        policy.limit,
        thresholds,
        waiting_before=case.verdict.neighbours_waiting,
        now=now,
    ):
        case Keep():
            return Step(case=case, entries=())
        case End(because="spare-capacity"):
            return _has_room(case, now)
        case End():
            text = "The neighbours wait as before: the tenant was not the cause."
            entry = TimelineEntry(at=now, event="limit-ended", actor="rule", text=text)
            return _over(case, entry, state="held", held_because="the limit did not help")
        case Change() as change:
            return _changed(case, limit, change, verdict, interval, policy.rule)


def lease_over(case: Case, *, now: float) -> Step | None:
    """The lease has run out: the limit is over, whatever else (promise 2)."""
    if case.limit is None or now < case.limit.lease_until:
        return None
    text = "The lease ran out: the limit has ended by itself."
    if case.limit.confirmed_at is None:
        entry = TimelineEntry(at=now, event="limit-ended", actor="clock", text=text)
        because = "its host never said that the limit stood"
        return _over(case, entry, state="held", held_because=because)
    return _relieved(case, now, actor="clock", text=text)


def lift(case: Case, *, now: float, by: str, reason: str) -> Step:
    """An operator ends the limit now."""
    if case.limit is None:
        raise CaseRefused(f"no limit stands: the case is {case.state}")
    return close(case, "relieved", now, actor=by, text=reason)


def suspend_limit(case: Case, *, now: float, by: str, reason: str) -> Step | None:
    """All enforcement is paused, or switched off: the limit goes, and a person decides on."""
    if case.limit is None:
        return None
    entry = TimelineEntry(at=now, event="limit-ended", actor=by, text=reason)
    return _over(case, entry, state="held", held_because=reason)


def measured_after(case: Case, verdict: Verdict, policy: Policy) -> Step | None:
    """After a limit has ended: how much the neighbours wait now. Once a case."""
    if case.effect is None or case.effect.after is not None or case.closed_at is None:
        return None
    if verdict.decided_at - case.closed_at < policy.limit.step_every:
        return None
    afterwards = since(verdict.samples, case.closed_at)
    if not afterwards:
        return None
    after = mean_waiting(afterwards)
    effect = msgspec.structs.replace(case.effect, after=after)
    during = f"{percent(effect.during)} during it, " if effect.during is not None else ""
    text = (
        f"How much neighbours waited: {percent(effect.before)} before the limit, "
        f"{during}{percent(after)} after it."
    )
    entry = TimelineEntry(at=verdict.decided_at, event="effect-measured", actor="rule", text=text)
    return step(case, entry, effect=effect)


def _has_room(case: Case, now: float) -> Step:
    text = "The host has room again for what was used before the limit."
    return _relieved(case, now, actor="rule", text=text)


def _relieved(case: Case, now: float, *, actor: str, text: str) -> Step:
    """The limit is over and with it the case, unless the customer disputed it."""
    if case.is_disputed:
        entry = TimelineEntry(at=now, event="limit-ended", actor=actor, text=text)
        return _over(case, entry, state="held")
    return close(case, "relieved", now, actor=actor, text=text)


def _over(case: Case, entry: TimelineEntry, **changes: object) -> Step:
    """The limit is over, the case is not: what was disputed is a person's to decide."""
    if case.is_disputed:
        changes = {"state": "held", "held_because": "the customer disputes it"}
    return with_limit_ended(without_limit(case, entry, **changes), case)


def _no_room(policy: Policy, circumstances: Circumstances) -> bool:
    return (
        circumstances.paused
        or circumstances.limits_on_host >= policy.limit.max_limits_per_host
        or circumstances.limits_in_fleet >= policy.limit.max_limits
    )


def _limited_enough(policy: Policy, circumstances: Circumstances) -> bool:
    return circumstances.limited_seconds + policy.limit.lease > policy.limit.max_per_day


def _order(
    case: Case,
    verdict: Verdict,
    interval: Interval,
    policy: Policy,
    now: float,
    *,
    by: str | None,
    reason: str,
) -> Step:
    latest = verdict.samples[-1]
    allowance = first_allowance(verdict.average_used, latest.fair_share, policy.limit)
    order = f"{case.id}-{case.version + 1}-limit"
    limit = StandingLimit(
        order=order,
        allowance=allowance,
        fair_share=latest.fair_share,
        unlimited_use=verdict.average_used,
        ordered_at=now,
        changed_at=now,
        lease_until=now + policy.limit.lease,
    )
    entry = TimelineEntry(
        at=now,
        event="limit-ordered",
        actor=by or "rule",
        text=(
            f"A limit of {amount(case.resource, allowance)} for at most "
            f"{duration(policy.limit.lease)}: {reason}."
        ),
    )
    ordered = step(
        case,
        entry,
        state="limited",
        held_because="",
        limit=limit,
        effect=Effect(before=verdict.neighbours_waiting or case.verdict.neighbours_waiting),
    )
    action = _order_action(
        ordered.case, limit, verdict, interval, policy.rule, by=by, reason=reason
    )
    return msgspec.structs.replace(ordered, actions=(action,))


def _order_action(
    case: Case,
    limit: StandingLimit,
    verdict: Verdict,
    interval: Interval,
    rule: Rule,
    *,
    by: str | None,
    reason: str,
) -> OrderLimit:
    return OrderLimit(
        order=limit.order,
        allowance=to_allowance(case.resource, limit.allowance, interval),
        fair_share=to_allowance(case.resource, limit.fair_share, interval),
        lease_until=limit.lease_until,
        notice=case.notice if case.notice_accepted_at is not None else None,
        ordered_by=by,
        reason=reason,
        evidence=verdict,
        rule=keep_rule(rule),
    )


def _changed(
    case: Case,
    limit: StandingLimit,
    change: Change,
    verdict: Verdict,
    interval: Interval,
    rule: Rule,
) -> Step:
    now = verdict.decided_at
    moved = msgspec.structs.replace(
        limit,
        allowance=change.allowance,
        first_allowance=limit.allowance if limit.first_allowance is None else limit.first_allowance,
        fair_share=verdict.samples[-1].fair_share,
        changed_at=now,
    )
    because = {
        "still-harmed": "neighbours still wait",
        "eased": "neighbours no longer wait",
        "fair-share-grew": "its fair share has grown",
    }[change.because]
    entry = TimelineEntry(
        at=now,
        event="limit-changed",
        actor="rule",
        text=f"The limit is now {amount(case.resource, change.allowance)}: {because}.",
    )
    changed = step(case, entry, limit=moved)
    action = _order_action(changed.case, moved, verdict, interval, rule, by=None, reason=because)
    return msgspec.structs.replace(changed, actions=(action,))


def _effect(case: Case, verdict: Verdict) -> Effect | None:
    if case.effect is None or case.limit is None or case.limit.confirmed_at is None:
        return case.effect
    during = since(verdict.samples, case.limit.confirmed_at)
    if not during:
        return case.effect
    return msgspec.structs.replace(case.effect, during=mean_waiting(during))
