"""The heartbeat: on every whole interval the kernel is read and a report joins the spool."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from fairuse_agent.reporting.limiter_client import LimiterWatch
from fairuse_agent.reporting.spool import Spool
from fairuse_agent.sampling.round import Round
from fairuse_protocol.reports import Report, encode_report

_FAILURES_ALLOWED = 30
"""Rounds that may fail one after another before the program gives up, so that whatever started
it learns of it."""

_log = logging.getLogger(__name__)


class RoundsFailError(Exception):
    """Every round failed for a long time: this program does nothing any more."""


class Source(Protocol):
    """What rounds are read from: the Sampler, or a double of it."""

    async def prepare(self) -> None:
        """Ask beforehand what cannot be read at once; in a bounded time."""

    def read(self) -> Round | None:
        """What happened since the last call; None the first time."""


def following_tick(tick: float, now: float, interval_seconds: float) -> float:
    """The first whole interval after `tick` that is still to come: never the same one twice,
    and none made up for when a round took longer than an interval."""
    passed = math.floor((now - tick) / interval_seconds)
    return tick + interval_seconds * max(1, passed + 1)


class Rounds:
    """Turns what the sampler reads into reports."""

    def __init__(self, host: str, source: Source, spool: Spool, limiter: LimiterWatch) -> None:
        self._host = host
        self._source = source
        self._spool = spool
        self._limiter = limiter
        self._failed = 0
        """Failed rounds that no report has told of yet."""
        self._failed_in_a_row = 0

    async def run(
        self,
        interval_seconds: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Read at once for the baseline, then on every whole interval, until cancelled."""
        tick = clock()
        while True:
            await self._source.prepare()
            self.take()
            tick = following_tick(tick, clock(), interval_seconds)
            await sleep(tick - clock())

    def take(self) -> None:
        """One round. A failure is logged, counted and told; RoundsFailError after 30 in a row."""
        try:
            read = self._source.read()
            report = None if read is None else self._report(read)
            body = None if report is None else encode_report(report)
        except Exception as error:
            self._failed += 1
            self._failed_in_a_row += 1
            _log.exception("round failed, %d in a row", self._failed_in_a_row)
            if self._failed_in_a_row >= _FAILURES_ALLOWED:
                raise RoundsFailError(
                    f"{self._failed_in_a_row} rounds in a row failed, the last with: {error}"
                ) from error
            return
        if report is not None and body is not None:
            # A baseline alone is no success: rounds that fail in turn with it report nothing.
            self._failed_in_a_row = 0
            self._spool.append(body, lost=report.lost_reports)
            self._failed = 0

    def _report(self, read: Round) -> Report:
        return Report(
            host=self._host,
            spool=self._spool.spool,
            sequence=self._spool.next_sequence,
            started_at=read.started_at,
            seconds=read.seconds,
            usage=read.usage,
            tenants=read.tenants,
            pressure_source=read.pressure_source,
            limiter=self._limiter.state,
            lost_reports=self._spool.lost,
            notes=(*read.notes, *self._own_notes()),
        )

    def _own_notes(self) -> list[str]:
        notes = []
        if self._failed:
            notes.append(f"{self._failed} rounds before this one failed; the agent's log says why")
        if self._limiter.trouble:
            notes.append(f"no limiter, observing only: {self._limiter.trouble}")
        if self._spool.disk_trouble:
            notes.append(f"reports are kept in memory only: {self._spool.disk_trouble}")
        return notes
