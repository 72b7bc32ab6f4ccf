"""What the limit was good for, how it ends by itself, and that everything is as it was."""

from __future__ import annotations

import time
from statistics import fmean

from fairuse_cli.demo.chapter import HELD_SECONDS, Limited
from fairuse_cli.demo.configuration import LEASE_SECONDS
from fairuse_cli.demo.narrator import cores, percent
from fairuse_cli.demo.stage import GREEDY, NEIGHBOURS, Use, normal_load
from fairuse_cli.demo.story import API_SECONDS, StepFailed, Telling, figures
from fairuse_cli.demo.subject import Subject, ordered

_LEASE_SLACK_SECONDS = 5.0
_MAIL_SECONDS = 10.0
_MAIL_AHEAD_SECONDS = 2.0
"""The mail about a limit may come before the look at the kernel."""
_AFTER_SECONDS = 3.0
_RECOVERED = 0.75
"""Neighbours have to wait at most this part of what they waited before."""
_FREE_AGAIN = 1.1
"""Times the limit that is used again once it is gone."""


async def neighbours_recovered(telling: Telling, subject: Subject, limit: Limited) -> None:
    """What the limit was for."""
    telling.begin("What was it good for?")
    before, during = _neighbours_waiting(limit.before), _neighbours_waiting(limit.during)
    mail = await telling.mail(
        subject.resource,
        since=limit.at - _MAIL_AHEAD_SECONDS,
        seconds=_MAIL_SECONDS,
        expected="a mail that the limit has started",
    )
    telling.narrator.facts(
        {
            "neighbours waited": f"{percent(before)} of the time before, "
            f"{percent(during)} under the limit",
            **{
                f"{name} got": f"{cores(limit.before[name].cores)} before, "
                f"{cores(limit.during[name].cores)} under the limit"
                for name in NEIGHBOURS
            },
            f"mail to {GREEDY}": mail.subject,
        }
    )
    if during > before * _RECOVERED:
        raise StepFailed(
            f"neighbours to wait at most {_RECOVERED:.0%} of what they did "
            f"({percent(before)} of the time)",
            percent(during),
        )
    telling.done(
        f"the neighbours wait {1 - during / before:.0%} less",
        waiting_before=round(before, 4),
        waiting_during=round(during, 4),
        subject=mail.subject,
    )


def _neighbours_waiting(uses: dict[str, Use]) -> float:
    return fmean(uses[name].waiting for name in NEIGHBOURS)


async def lifted(telling: Telling, subject: Subject, limit: Limited) -> None:
    """The lease ends, and with it the limit."""
    telling.begin("Nobody does anything. The lease runs out.")

    async def gone() -> bool | None:
        return True if subject.shown(telling.stage) == limit.noticed.shown else None

    async def shown() -> str:
        return str(subject.shown(telling.stage))

    left = LEASE_SECONDS - (time.monotonic() - limit.at)
    await telling.until(
        gone,
        seconds=max(0.0, left) + _LEASE_SLACK_SECONDS,
        expected="the kernel without the limit",
        seen=shown,
    )
    stood = time.monotonic() - limit.at
    told = await telling.until(
        lambda: telling.watching.lifted(limit.held.order),
        seconds=API_SECONDS,
        expected="the limiter's word for it",
        seen=telling.case_states,
    )
    telling.narrator.facts(
        {
            "limit stood for": f"{stood:.1f} s of a lease of {LEASE_SECONDS} s",
            "lifted because": told.reason,
        }
    )
    telling.done(
        "the limit has ended by itself",
        stood_seconds=round(stood, 2),
        lease_seconds=LEASE_SECONDS,
        reason=told.reason,
        restored=told.restored,
    )


async def restored(telling: Telling, subject: Subject, limit: Limited) -> None:
    """Everything is as it was, to the byte."""
    stage = telling.stage
    telling.begin("Is everything as it was?")
    uses = await telling.measure(_AFTER_SECONDS, f"{GREEDY} may take what it wants again")
    shown = subject.shown(stage)
    await stage.set_load(GREEDY, normal_load(stage.cores))
    telling.show(uses)
    mail = await telling.mail(
        subject.resource,
        since=limit.at + HELD_SECONDS,
        seconds=_MAIL_SECONDS,
        expected="a mail that the limit has ended",
    )
    telling.show_kernel(limit.noticed.shown, shown)
    telling.narrator.facts({f"mail to {GREEDY}": mail.subject})
    if shown != limit.noticed.shown:
        raise StepFailed(f"{limit.noticed.shown} as before", str(shown))
    used, allowed = subject.used(uses[GREEDY]), ordered(limit.held)
    if used < allowed * _FREE_AGAIN:
        raise StepFailed(f"more than {subject.amount(allowed)} again", subject.amount(used))
    telling.done(
        f"byte for byte as before, and {GREEDY} is free to use {subject.amount(used)}",
        tenants=figures(uses),
        subject=mail.subject,
        kernel_before=list(limit.noticed.shown),
        kernel=list(shown),
    )
