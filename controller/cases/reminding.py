"""A last word before a deadline that the customer has let run on. Pure.

Like a limit, it rests on now: it is asked for with every report of the host, so that a tenant who
has calmed down, or whose host nobody hears, is not reminded of what will not come.
"""

from __future__ import annotations

from controller.cases.lifecycle import LEAST_FOR_REMINDER
from controller.cases.limiting import Circumstances
from controller.cases.model import Case, Step, TimelineEntry
from controller.cases.steps import step, with_notice
from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import Policy
from controller.fairshare.sentence import duration

MOST_REMINDERS = 2
"""A case: deadlines that move must not become a stream of letters."""
_USEFUL_PART = 0.25
"""Of `remind_before`: with less than that left, nobody can act on it any more."""


def due_reminder(
    case: Case, verdict: Verdict, policy: Policy, circumstances: Circumstances
) -> Step | None:
    """The reminder that is due now, if one is.

    None before `remind_before`; for a deadline that left less than twice that, where it would come
    on the heels of the notice; after any answer; and twice about one deadline. A deadline that was
    moved is reminded of anew.
    """
    now, before = verdict.decided_at, float(policy.times.remind_before)
    if (
        case.state != "notified"
        or case.notice_accepted_at is None
        or case.deadline is None
        or case.answers
        or before <= 0
        or circumstances.mode == "observe"
        or circumstances.paused
        or verdict.outcome != "disproportionate"
        or case.deadline - case.notice_accepted_at < LEAST_FOR_REMINDER * before
        or case.reminders >= MOST_REMINDERS
        or (case.reminded_of is not None and case.deadline <= case.reminded_of)
    ):
        return None
    left = case.deadline - now
    if not _USEFUL_PART * before <= left <= before:
        return None
    entry = TimelineEntry(
        at=now,
        event="reminder-queued",
        actor="clock",
        text=f"The customer is reminded: {duration(left)} are left to answer.",
    )
    reminded = step(case, entry, reminders=case.reminders + 1, reminded_of=case.deadline)
    return with_notice(reminded, "reminder")
