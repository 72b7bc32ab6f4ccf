"""A case's life as pure transitions: each takes the case and `now`, and returns a Step.

    watching -> notified -> limited -> closed      (held: an operator must decide)

A transition that does not apply returns None where a clock or a report drives it, and raises
CaseRefused where a person does. Ids of notices and orders are made from the case's id and
version, so that a step done again after a crash names the same things.
"""

from __future__ import annotations

import msgspec

from controller.cases.limiting import is_over_now
from controller.cases.model import (
    Case,
    Closing,
    DisputeDecision,
    NoLimit,
    QueueNotice,
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
from controller.fairshare.evidence import Outcome, Sample, Verdict
from controller.fairshare.policy import Policy, keep_rule
from controller.fairshare.rule import severity_of
from controller.fairshare.sentence import amount, duration, sentence
from controller.settings import Mode

LEAST_FOR_REMINDER = 2.0
"""Times `remind_before`: a deadline that leaves less is reminded of on the heels of the notice."""


def open_case(
    case_id: str, host: str, tenant: str, verdict: Verdict, policy: Policy, previous: Case | None
) -> Step:
    """A case for a disproportionate verdict. `previous` is the last closed one of its kind."""
    now = verdict.decided_at
    repeated = (
        previous is not None
        and previous.closed_at is not None
        and previous.closing != "agreed"
        and now - previous.closed_at <= policy.times.repeat_within
    )
    case = Case(
        id=case_id,
        host=host,
        tenant=tenant,
        resource=verdict.resource,
        state="watching",
        severity=severity_of(verdict, policy.severity),
        opened_at=now,
        version=1,
        verdict=verdict,
        rule=keep_rule(policy.rule),
        last_disproportionate_at=now,
        repeat_of=previous.id if previous is not None and repeated else "",
    )
    text = sentence(verdict, whose=f"{tenant} on {host}")
    return Step(
        case=case, entries=(TimelineEntry(at=now, event="opened", actor="rule", text=text),)
    )


def may_open(previous: Case | None, policy: Policy, now: float) -> bool:
    """Whether a new case may be opened after `previous`: an operator's no stands for a while."""
    return (
        previous is None
        or previous.closing != "dismissed"
        or previous.closed_at is None
        or now - previous.closed_at > policy.times.quiet_after_dismissal
    )


def see_verdict(
    case: Case, verdict: Verdict, policy: Policy, mode: Mode, *, present: bool = True
) -> Step | None:
    """A fresh verdict on an open case that has no limit standing.

    `present` says whether the host's newest report has the tenant at all: one that was moved or
    switched off bothers nobody there.
    """
    now = verdict.decided_at
    if verdict.outcome == "disproportionate":
        case = msgspec.structs.replace(case, last_disproportionate_at=now)
        unwritten = case.state == "watching" and not case.notice and mode != "observe"
        if unwritten or (is_over_now(verdict) and _must_be_written_to_anew(case, mode)):
            return _queue_first_notice(case, mode, now)
        return Step(case=case, entries=())
    if case.state not in ("watching", "notified") or (
        verdict.outcome == "not-measured" and present
    ):
        return None
    if now - case.last_disproportionate_at < policy.times.subsides_after:
        return None
    if present and case.solved_at is not None and now < case.solved_at + policy.times.solved_check:
        return None  # what a limit brought about shows nothing yet
    if not present:
        how = "The tenant is no longer on this host."
    elif agreed := _agreed_meanwhile(case, verdict):
        return close(case, "agreed", now, actor="rule", text=agreed)
    else:
        how = _CALM[verdict.outcome]
    closing: Closing = "resolved" if "solved" in case.answers else "subsided"
    return close(case, closing, now, actor="rule", text=how)


def _agreed_meanwhile(case: Case, verdict: Verdict) -> str:
    """How a larger share that was agreed since made this use a fair one; empty if it did not."""
    if verdict.outcome not in _LESS_USED or not (verdict.samples and case.verdict.samples):
        return ""
    newest, opening = verdict.samples[-1], case.verdict.samples[-1]
    if newest.agreed_share <= opening.agreed_share or newest.used <= opening.fair_share:
        return ""
    return (
        f"The use is near the share of {amount(case.resource, newest.fair_share)} that is agreed."
    )


_LESS_USED: tuple[Outcome, ...] = ("within-share", "not-sustained")
_CALM: dict[Outcome, str] = {
    "disproportionate": "",
    "nobody-harmed": "The load went down: no neighbour waits any more.",
    "not-contended": "The load went down: the machine has capacity to spare.",
    "within-share": "The load went down: the use is near the fair share again.",
    "not-the-cause": "The tenant is no longer what its neighbours wait for.",
    "not-sustained": "The load went down for most of the time.",
    "not-measured": "Too little was measured to go on.",
    "agreed": "The use is exempt by agreement.",
    "consented-test": "The use is a load test with consent.",
}
"""What each outcome means for a case that closes on it. None closes on the first."""


def see_agreement(case: Case, verdict: Verdict) -> Step | None:
    """The use has become agreed: the case closes at once, and a limit that stands is lifted.

    A larger share counts when it was agreed since the case was opened, and the use is within it;
    an agreement that the tenant had broken already takes nothing back.
    """
    if not verdict.samples:
        return None
    newest, opening = verdict.samples[-1], case.verdict.samples[-1]
    if is_exempt(newest):
        text = {
            "agreed": "The use is exempt by agreement.",
            "consented-test": "The use is a load test with consent.",
        }[newest.exempt]
    elif newest.agreed_share > opening.agreed_share and newest.used <= newest.fair_share:
        share = amount(case.resource, newest.fair_share)
        text = f"The use is within the share of {share} that is agreed."
    else:
        return None
    return close(case, "agreed", verdict.decided_at, actor="rule", text=text)


def is_exempt(sample: Sample) -> bool:
    """Whether an agreement allows whatever was used."""
    return sample.exempt != "none"


def after_silence(case: Case, silent_seconds: float, policy: Policy, *, now: float) -> Step:
    """The host is heard of again. What nobody measured counts for nobody; silence longer than
    the customer had to answer makes the notice stale, so the case starts anew if it must."""
    because = f"The host did not report for {duration(silent_seconds)}"
    if case.state in ("watching", "notified") and silent_seconds > time_to_answer_seconds(
        case, policy
    ):
        return close(case, "subsided", now, actor="clock", text=f"{because}.")
    return skip_time(case, silent_seconds, now=now, because=because)


def skip_time(case: Case, seconds: float, *, now: float, because: str) -> Step:
    """Time that does not count, for or against anybody: a silent host, a clock that jumped."""
    moved = msgspec.structs.replace(
        case,
        last_disproportionate_at=case.last_disproportionate_at + seconds,
        solved_at=None if case.solved_at is None else case.solved_at + seconds,
    )
    if case.deadline is None or case.state not in ("watching", "notified"):
        return Step(case=moved, entries=())
    text = f"{because}: no limit for another {duration(case.deadline + seconds - now)} at least."
    entry = TimelineEntry(at=now, event="deadline-moved", actor="clock", text=text)
    return step(moved, entry, deadline=case.deadline + seconds)


def time_to_answer_seconds(case: Case, policy: Policy) -> float:
    """How long after its acceptance a first notice leaves before anything may be limited."""
    allowed = float(policy.severity.step(case.severity).deadline)
    return allowed * policy.times.repeat_deadline_factor if case.repeat_of else allowed


def notice_accepted(
    case: Case, policy: Policy, *, begins: bool, at: float, channel: str, answer: str
) -> Step:
    """A notice was accepted for delivery. A first notice (`begins`) starts the clock; any other
    one gives no time to answer."""
    entry = TimelineEntry(at=at, event="notice-accepted", actor=channel, text=answer)
    if not begins or case.state == "closed" or case.notice_accepted_at is not None:
        return step(case, entry)
    deadline = max(at + time_to_answer_seconds(case, policy), case.deadline or 0.0)
    return step(
        case,
        entry,
        state="notified" if case.state == "watching" else case.state,
        notice_accepted_at=at,
        deadline=deadline,
    )


def notice_failed(case: Case, *, now: float, reason: str) -> Step:
    """No channel took the notice: the customer was not contacted, so a person must decide."""
    entry = TimelineEntry(at=now, event="notice-failed", actor="mail", text=reason)
    if case.state != "watching":
        return step(case, entry)
    return step(case, entry, state="held", held_because=f"the notice failed: {reason}")


def notice_withheld(case: Case, *, now: float, reason: str) -> Step:
    """A notice is not sent, for a reason of our own. Without a first notice there is no limit by
    the rule (promise 1), so a person must decide."""
    entry = TimelineEntry(at=now, event="notice-withheld", actor="rule", text=reason)
    if case.state != "watching":
        return step(case, entry)
    return step(case, entry, state="held", held_because=f"the notice was not sent: {reason}")


def notice_delayed(case: Case, *, now: float, reason: str, until: float) -> Step:
    """A notice has to wait, by the channel's word or by the customer's quiet times."""
    text = f"{reason}; the next try is in {duration(until - now)}."
    return step(case, TimelineEntry(at=now, event="notice-delayed", actor="mail", text=text))


def hold(case: Case, *, now: float, by: str, reason: str) -> Step:
    """An operator takes the case out of the clock's hands."""
    if case.state not in ("watching", "notified", "limited"):
        raise CaseRefused(f"a case that is {case.state} cannot be held")
    entry = TimelineEntry(at=now, event="held", actor=by, text=reason)
    held = without_limit(case, entry, state="held", held_because=reason)
    return with_limit_ended(held, case)


def release(case: Case, policy: Policy, *, now: float, by: str, reason: str) -> Step:
    """An operator gives a held case back to the clock.

    Where no notice was accepted, the customer is written to anew, if it goes on; where one was,
    they have the whole time to answer again from now on. Whoever disputed it is told of the
    decision, with `reason`.
    """
    if case.state != "held":
        raise CaseRefused(f"a case that is {case.state} is not held")
    event = "dispute-decided" if case.is_disputed else "released"
    entry = TimelineEntry(at=now, event=event, actor=by, text=reason)
    changes: dict[str, object] = {"held_because": ""}
    if case.is_disputed:
        changes["dispute_decision"] = DisputeDecision(decided_at=now, decided_by=by, answer=reason)
    if case.notice_accepted_at is None:
        changes |= {"state": "watching", "notice": ""}
    else:
        allowed = time_to_answer_seconds(case, policy)
        deadline = max(case.deadline or 0.0, now + allowed)
        changes |= {"state": "notified", "deadline": deadline}
        if allowed < LEAST_FOR_REMINDER * policy.times.remind_before:
            changes["reminded_of"] = deadline
    released = step(case, entry, **changes)
    return with_notice(released, "decision") if case.is_disputed else released


def dismiss(case: Case, *, now: float, by: str, reason: str) -> Step:
    """An operator closes the case for good; a limit that stands is lifted."""
    if case.state == "closed":
        raise CaseRefused("the case is closed already")
    return close(case, "dismissed", now, actor=by, text=reason)


def _must_be_written_to_anew(case: Case, mode: Mode) -> bool:
    """Whether a limit can follow now, and the customer's last word from us is that none does."""
    return mode == "enforce" and case.state == "notified" and case.no_limit == "promised"


def _queue_first_notice(case: Case, mode: Mode, now: float) -> Step:
    notice = f"{case.id}-{case.version + 1}-first-notice"
    text = "The customer is being written to."
    if _must_be_written_to_anew(case, mode):
        text = (
            "From now on a limit can follow, and the customer was told that none does: "
            "they are being written to anew."
        )
    entry = TimelineEntry(at=now, event="notice-queued", actor="rule", text=text)
    granted = case.deadline is not None and case.deadline > now
    queued = step(
        case,
        entry,
        state="watching",
        notice=notice,
        notice_accepted_at=None,
        no_limit=_no_limit_after(case, mode),
        deadline=case.deadline if granted else None,
    )
    return msgspec.structs.replace(queued, actions=(QueueNotice(id=notice, kind="first-notice"),))


def _no_limit_after(case: Case, mode: Mode) -> NoLimit:
    """What a first notice of this mode leaves of the promise."""
    if mode != "enforce":
        return "promised"
    return "not-promised" if case.no_limit == "not-promised" else "withdrawn"
