"""Waiting reports go to the controller, oldest first; its answers become orders.

Every answer holds the whole set of limits as of now, so draining a backlog brings the newest
orders with each report.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from fairuse_agent.reporting.link import Accepted, Failed, Link, Outcome, Refused, backoff_seconds
from fairuse_agent.reporting.orders import Orders
from fairuse_agent.reporting.spool import Spool, Waiting

_log = logging.getLogger(__name__)


async def deliver(
    spool: Spool,
    link: Link,
    orders: Orders,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random_number: Callable[[], float] = random.random,
) -> None:
    """Send until cancelled. A report leaves the spool only when it was acknowledged, or when the
    controller said that it never will be."""
    failures, told = 0, ""
    while True:
        report, body = await spool.oldest()
        asked_at = clock()
        outcome = _matched(report, await link.send(body))
        match outcome:
            case Accepted(answer):
                spool.acknowledge(report)
                orders.hear(answer.limits, asked_at, answer.suspensions)
            case Refused(reason):
                _log.error(
                    "the controller will never accept report %d, which is set aside: %s",
                    report.sequence,
                    reason,
                )
                await spool.set_aside(report, body)
            case Failed(reason, retry_after_seconds):
                spool.release(report)
                if reason != told:
                    _log.warning("reports wait (%d so far): %s", len(spool), reason)
                told = reason
                pause = backoff_seconds(failures, random_number())
                failures += 1
                await sleep(max(pause, retry_after_seconds))
                continue
        if failures:
            _log.info("the controller answers again; %d reports wait", len(spool))
        failures, told = 0, ""


def _matched(report: Waiting, outcome: Outcome) -> Outcome:
    """An answer that names another report acknowledges nothing."""
    if not isinstance(outcome, Accepted):
        return outcome
    answer = outcome.answer
    if (answer.spool, answer.acknowledged_sequence) == (report.spool, report.sequence):
        return outcome
    return Failed(
        f"expected an answer to report {report.sequence} of {report.spool}, "
        f"found one to {answer.acknowledged_sequence} of {answer.spool}"
    )
