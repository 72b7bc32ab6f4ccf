"""A controller's own history as a trace: "what would last week have looked like"."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from controller.backtest.layout import SAMPLE_COLUMNS, HostCapacity, TraceError
from controller.backtest.registry import write_hosts, write_tenants
from controller.backtest.writer import Form, SampleWriter
from controller.fairshare.interval import Measured, measure
from controller.storage import schema
from controller.storage.database import Database
from fairuse_protocol.reports import Report, decode_report

_SLICE_SECONDS = 300
"""Read at a time, of all hosts: what has to be in memory to write rows in order of time."""

_reports = schema.reports


@dataclass(slots=True)
class Exported:
    """What an export wrote."""

    hosts: int = 0
    tenants: int = 0
    reports: int = 0
    left_out: int = 0
    """Reports that ended within the same second as others of their host: a trace's times are
    whole seconds, and it has one row for a time, host and tenant."""


async def export_history(
    database: Database,
    out: Path,
    begin: int,
    end: int,
    *,
    form: Form = "csv.gz",
    progress: Callable[[int], None] = lambda _done_until: None,
) -> Exported:
    """Write all reports that ended after `begin` and until `end` as a trace.

    Times are seconds since the epoch; a report's is rounded up. Of weights and capacities that
    changed in that time, the trace has the last. TraceError where there is nothing to export.
    """
    done = Exported()
    capacities: dict[str, HostCapacity] = {}
    weights: dict[tuple[str, str], float] = {}
    last_time: dict[str, int] = {}
    hosts = await _hosts(database)
    writer = SampleWriter(out, "samples", form)
    try:
        for at in range(begin, end, _SLICE_SECONDS):
            until = min(at + _SLICE_SECONDS, end)
            rows: list[tuple[Any, ...]] = []
            async for report in _stored(database, hosts, at, until):
                ended = math.ceil(report.started_at + report.seconds)
                time = max(ended, last_time.get(report.host, 0) + 1)
                if time > ended + 1:
                    done.left_out += 1
                    continue
                last_time[report.host] = time
                capacities[report.host] = _capacity(report)
                weights |= {(report.host, t.tenant): t.weight for t in report.tenants}
                rows += report_rows(report, time)
                done.reports += 1
            if rows:
                writer.write(dict(zip(SAMPLE_COLUMNS, zip(*rows, strict=True), strict=True)))
            progress(until)
    finally:
        writer.close()
    if not done.reports:
        raise TraceError(
            f"expected reports that ended between {begin} and {end}, found none; "
            "see storage.keep_reports for how long they are kept"
        )
    write_hosts(out / "hosts.csv", capacities)
    write_tenants(out / "tenants.csv", weights)
    done.hosts, done.tenants = len(capacities), len(weights)
    return done


async def _hosts(database: Database) -> list[str]:
    async with database.read() as connection:
        return list(await connection.scalars(sa.select(_reports.c.host).distinct()))


async def _stored(
    database: Database, hosts: list[str], after: int, until: int
) -> AsyncIterator[Report]:
    async with database.read() as connection:
        found = await connection.stream_scalars(
            sa.select(_reports.c.body)
            # By host and time there is an index; by time alone, every slice would read all rows.
            .where(
                _reports.c.host.in_(hosts),
                _reports.c.ended_at > after,
                _reports.c.ended_at <= until,
            )
            .order_by(_reports.c.ended_at)
        )
        async for body in found:
            yield decode_report(body)


def report_rows(report: Report, time: int) -> Iterator[tuple[Any, ...]]:
    """A report as rows in the order of SAMPLE_COLUMNS: the host's own first, then its tenants.

    Waiting is what the rule sees of it: a tenant's own CPU quota is taken off, and the uplink's
    worse direction stands for everybody's network.
    """
    measured, seconds = measure(report), report.seconds
    uses = list(_tenant_uses(report, measured))
    totals = [sum(use[column] for use in uses) for column in range(5)]
    own = [
        max(0.0, all_of - theirs) for all_of, theirs in zip(_host_use(report), totals, strict=True)
    ]
    waits = [measured.resources[r].host_waiting for r in ("cpu", "disk")]
    worst = [measured.resources[r].host_waiting for r in ("net-in", "net-out")]
    net = max((wait for wait in worst if wait is not None), default=None)
    yield (time, report.host, "", seconds, *own, *(_or_nan(wait) for wait in (*waits, net)))
    for index, (tenant, use) in enumerate(zip(report.tenants, uses, strict=True)):
        cpu, disk = (measured.resources[r].waiting[index] for r in ("cpu", "disk"))
        yield (time, report.host, tenant.tenant, seconds, *use, cpu, disk, _or_nan(net))


def _tenant_uses(report: Report, measured: Measured) -> Iterator[tuple[float, ...]]:
    seconds = report.seconds
    for index, tenant in enumerate(report.tenants):
        yield (
            measured.resources["cpu"].used[index],
            sum(disk.read_bytes + disk.written_bytes for disk in tenant.disks) / seconds,
            sum(disk.reads + disk.writes for disk in tenant.disks) / seconds,
            measured.resources["net-in"].used[index],
            measured.resources["net-out"].used[index],
        )


def _host_use(report: Report) -> tuple[float, ...]:
    usage, seconds = report.usage, report.seconds
    return (
        usage.cpu_busy_seconds / seconds,
        sum(disk.read_bytes + disk.written_bytes for disk in usage.disks) / seconds,
        sum(disk.reads + disk.writes for disk in usage.disks) / seconds,
        sum(uplink.in_bytes for uplink in usage.uplinks) / seconds,
        sum(uplink.out_bytes for uplink in usage.uplinks) / seconds,
    )


def _capacity(report: Report) -> HostCapacity:
    capacity = report.usage.capacity
    return HostCapacity(
        capacity.cpu_cores,
        capacity.disk_bytes_per_second,
        capacity.disk_operations_per_second,
        capacity.net_in_bytes_per_second,
        capacity.net_out_bytes_per_second,
    )


def _or_nan(wait: float | None) -> float:
    return math.nan if wait is None else wait
