"""When a notice may go out, by the times at which its reader wants to be left alone. Pure.

Only what can wait does: notices about a case of low severity. Its deadline waits with it, because
that runs from the acceptance. News of a limit never waits, and neither does anything that is high
or critical.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.contact.notice import Queued
from controller.quiet import QuietTimes

_TO_ACT_ON = ("reminder", "decision")


def not_before(notice: Queued, quiet: QuietTimes, now: float) -> float:
    """`now`, or the end of the quiet time that the notice waits for, in seconds since the epoch.

    What is to be acted on before a deadline waits only where that leaves at least half of the time
    that it leaves now: a letter that comes too late is worse than one at night.
    """
    case = notice.document.case
    if case.severity != "low" or notice.kind in ("limit-started", "limit-ended"):
        return now
    until = quiet.over_at(now)
    if notice.kind in _TO_ACT_ON and case.deadline is not None:
        return until if until - now <= (case.deadline - now) / 2 else now
    return until


def letter_not_before(notices: Sequence[Queued], quiet: QuietTimes, now: float) -> float:
    """The same of a letter: one notice that cannot wait takes the others along."""
    return min(not_before(each, quiet, now) for each in notices)
