"""A tenant takes too much of one resource, is written to, and is limited when nothing changes."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

from fairuse_cli.demo.configuration import DEADLINE_SECONDS, LEASE_SECONDS
from fairuse_cli.demo.mailbox import Mail
from fairuse_cli.demo.stage import GREEDY, Reading, UplinkReading, Use
from fairuse_cli.demo.story import API_SECONDS, StepFailed, Telling, figures, since
from fairuse_cli.demo.subject import Subject, delayed_share, ordered
from fairuse_protocol.limits import HeldLimit

_NOTICE_SECONDS = 75.0
_LIMIT_SLACK_SECONDS = 20.0
"""Over the deadline: the limiter measures the tenant itself first, and a round takes a second."""
_CLOCKS_SECONDS = 0.05
_SETTLE_SECONDS = 1.0
HELD_SECONDS = 10.0
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Noticed:
    """The tenant has been written to."""

    mail: Mail
    shown: tuple[str, ...]
    """What the kernel showed before anything happened."""
    readings: dict[str, Reading]
    uplink: UplinkReading
    """When the greed began."""


@dataclass(frozen=True)
class Limited:
    """The limit stands, and was measured."""

    noticed: Noticed
    at: float
    held: HeldLimit
    shown: tuple[str, ...]
    before: dict[str, Use]
    during: dict[str, Use]
    delayed_before: float
    delayed_during: float


async def notice(telling: Telling, subject: Subject) -> Noticed:
    """The tenant takes too much while others wait, and is written to."""
    stage = telling.stage
    telling.begin(f"{GREEDY} takes all it can get of {subject.words}, and does not stop.")
    shown, began = subject.shown(stage), time.monotonic()
    await stage.set_load(GREEDY, subject.greed(stage.cores))
    readings, uplink = await stage.read(), stage.read_uplink()
    mail = await telling.mail(
        subject.resource, since=began, seconds=_NOTICE_SECONDS, expected=f"a mail to {GREEDY}"
    )
    uses = since(readings, await stage.read())
    delayed = delayed_share(uplink, stage.read_uplink())
    telling.show(uses)
    telling.narrator.facts(
        {
            **_queue(subject, delayed),
            "mail to": ", ".join(mail.recipients),
            "subject": mail.subject,
            "it says": mail.sentence,
            "deadline": f"{DEADLINE_SECONDS} seconds (hours or a day in real life)",
        }
    )
    if not mail.sentence or not mail.link or not mail.pictures:
        raise StepFailed(
            "a mail with a sentence, a link and a chart",
            f"sentence {mail.sentence!r}, link {mail.link!r}, {mail.pictures} pictures",
        )
    if subject.shown(stage) != shown:
        raise StepFailed(f"no limit before contact: {shown}", str(subject.shown(stage)))
    telling.done(
        f"written to after {mail.at - began:.1f} s, with a chart; nothing is limited yet",
        seconds_to_notice=round(mail.at - began, 2),
        tenants=figures(uses),
        uplink_delayed_per_packet=round(delayed, 3),
        mail_to=list(mail.recipients),
        subject=mail.subject,
        sentence=mail.sentence,
        deadline_seconds=DEADLINE_SECONDS,
        kernel=list(shown),
    )
    return Noticed(mail, shown, readings, uplink)


async def limited(telling: Telling, subject: Subject, noticed: Noticed) -> Limited:
    """The deadline passes without change: the limit comes, and holds."""
    telling.begin(f"The deadline passes, and {GREEDY} has changed nothing.")
    found = await _measure_limit(telling, subject, noticed)
    telling.show(found.during)
    allowed, used = ordered(found.held), subject.used(found.during[GREEDY])
    after_notice = found.at - noticed.mail.at
    telling.show_kernel(noticed.shown, found.shown)
    telling.narrator.facts(
        {
            "by": found.held.way,
            **_queue(subject, found.delayed_during),
            "ordered": f"{subject.amount(allowed)} at most, for {LEASE_SECONDS} seconds",
            "held to": f"{subject.amount(used)}, {used / allowed - 1:+.1%} of the order "
            f"({subject.measured_as})",
        }
    )
    if after_notice < DEADLINE_SECONDS - _CLOCKS_SECONDS:
        raise StepFailed(f"{DEADLINE_SECONDS} s between mail and limit", f"{after_notice:.2f} s")
    if abs(used / allowed - 1) > _TOLERANCE:
        busy = "" if used > allowed else f"; is this machine busy with something else? {_load()}"
        raise StepFailed(
            f"{subject.amount(allowed)} within {_TOLERANCE:.0%}", f"{subject.amount(used)}{busy}"
        )
    if subject.has_queue and found.delayed_during > found.delayed_before / 2:
        raise StepFailed(
            f"the uplink to hold back at most half of {found.delayed_before:.2f} a packet",
            f"{found.delayed_during:.2f}",
        )
    telling.done(
        f"{subject.amount(subject.used(found.before[GREEDY]))} before, "
        f"{subject.amount(used)} now; the limit came {after_notice:.1f} s after the mail",
        seconds_after_notice=round(after_notice, 2),
        order=found.held.order,
        way=found.held.way,
        ordered=allowed,
        held_to=round(used, 4),
        deviation=round(used / allowed - 1, 4),
        seconds_measured=round(found.during[GREEDY].seconds, 2),
        before=figures(found.before),
        tenants=figures(found.during),
        uplink_delayed_per_packet_before=round(found.delayed_before, 3),
        uplink_delayed_per_packet=round(found.delayed_during, 3),
        kernel_before=list(noticed.shown),
        kernel=list(found.shown),
    )
    return found


async def _measure_limit(telling: Telling, subject: Subject, noticed: Noticed) -> Limited:
    stage = telling.stage

    async def stands() -> bool | None:
        return None if subject.shown(stage) == noticed.shown else True

    await telling.until(
        stands,
        seconds=DEADLINE_SECONDS + _LIMIT_SLACK_SECONDS,
        expected="a limit in the kernel",
        seen=telling.case_states,
    )
    at = time.monotonic()
    before = since(noticed.readings, await stage.read())
    delayed_before = delayed_share(noticed.uplink, stage.read_uplink())
    with telling.narrator.waiting("letting it settle"):
        await asyncio.sleep(_SETTLE_SECONDS)
    uplink = stage.read_uplink()
    during = await telling.measure(HELD_SECONDS, "measuring whether it holds")
    delayed_during = delayed_share(uplink, stage.read_uplink())
    held = await telling.until(
        lambda: telling.watching.held(GREEDY, subject.resource),
        seconds=API_SECONDS,
        expected="the limiter's word for it",
        seen=telling.case_states,
    )
    return Limited(
        noticed=noticed,
        at=at,
        held=held,
        shown=subject.shown(stage),
        before=before,
        during=during,
        delayed_before=delayed_before,
        delayed_during=delayed_during,
    )


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


def _queue(subject: Subject, delayed: float) -> dict[str, str]:
    return (
        {"uplink's queue": f"held back {delayed:.2f} times a packet"} if subject.has_queue else {}
    )
