"""What each step of taking a report in costs, by the controller's own functions, one at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sample_reports import Renumbered, sample_report
from controller.cases.desk import Desk
from controller.cases.policies import OnePolicy
from controller.cases.rings import Modes
from controller.fairshare.policy import Policy
from controller.storage.database import Database
from controller.storage.reports import ReportRow
from controller.web.intake import Intake
from fairuse_protocol.reports import Report, decode_report

_HOSTS = 100
_CONTENDED = 5
_REPORTS_PER_HOST = 20


@dataclass(frozen=True)
class StepTimes:
    """CPU microseconds a report."""

    decode: float
    rule: float
    commit: float


async def time_steps(directory: Path, *, batch: int) -> StepTimes:
    """Time each step over the same reports; `batch` is how many share a commit."""
    started_at = time.time() - 1200
    series = [
        Renumbered(
            sample_report(
                f"step-{number}", tenants=50, contended=number < _CONTENDED, started_at=started_at
            )
        )
        for number in range(_HOSTS)
    ]
    bodies = [one.next() for _ in range(_REPORTS_PER_HOST) for one in series]
    started = time.process_time()
    reports = [decode_report(body) for body in bodies]
    decode = time.process_time() - started
    database = await Database.open(f"sqlite+aiosqlite:///{directory}/steps.db")
    try:
        commit = await _time_commit(database, reports, bodies, batch)
        rule = await _time_rule(directory, reports, batch)
    finally:
        await database.close()
    scale = 1e6 / len(bodies)
    return StepTimes(decode=decode * scale, rule=rule * scale, commit=commit * scale)


async def _time_commit(
    database: Database, reports: list[Report], bodies: list[bytes], batch: int
) -> float:
    intake = Intake(database)
    writer = asyncio.create_task(intake.run())
    rows = [
        ReportRow(report.host, report.spool, report.sequence, report.started_at + 10, body)
        for report, body in zip(reports, bodies, strict=True)
    ]
    started = time.process_time()
    for first in range(0, len(rows), batch):
        await asyncio.gather(*(intake.store(row) for row in rows[first : first + batch]))
    spent = time.process_time() - started
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    return spent


async def _time_rule(directory: Path, reports: list[Report], batch: int) -> float:
    # Its own empty store, or the windows would be rebuilt from what was just committed.
    database = await Database.open(f"sqlite+aiosqlite:///{directory}/rule.db")
    try:
        desk = Desk(database, OnePolicy(Policy()), Modes("observe"), time.time)
        await desk.start()
        started = time.process_time()
        for first in range(0, len(reports), batch):
            for seen in [desk.see(report) for report in reports[first : first + batch]]:
                await desk.observe(seen)
                desk.limits_for(seen.report.host, time.time())
        return time.process_time() - started
    finally:
        await database.close()
