"""A backtest's outcome in words, the same on a terminal and on a page."""

from __future__ import annotations

from controller.backtest.outcome import Outcome, Played
from controller.fairshare.sentence import duration


def headline(played: Played, outcome: Outcome) -> str:
    """What one policy would have meant for customers, in one sentence."""
    where = f"Over {duration(played.extent.seconds)} on {counted(played.hosts, 'host')}, "
    customers = f"of {counted(played.tenants, 'customer')}"
    written, limited = len(outcome.written_to()), len(outcome.limited())
    if not written:
        return f"{where}none {customers} would have been written to."
    told = f"{where}{written:,} {customers} would have been written to"
    if not limited:
        return f"{told}, and nobody limited."
    whose = (
        "" if written == 1 else "all of them " if limited == written else f"{limited:,} of them "
    )
    held = duration(outcome.events.total().limited_minutes * 60)
    return f"{told}, and {whose}limited for {held} in all."


def counted(number: int, of: str) -> str:
    """A number with what it counts: "1 host", "8 hosts"."""
    return f"{number:,} {of}{'' if number == 1 else 's'}"


def order_note(played: Played) -> str | None:
    """What to know about a trace that is not in order of time; None when there is nothing."""
    if played.in_time_order:
        return None
    return (
        "The samples are not in order of time over all hosts, so the bound on limits in the "
        "fleet at a time (max_limits) was not counted exactly; everything else was."
    )
