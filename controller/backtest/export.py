"""A controller's own history as a trace: "what would last week have looked like"."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from controller.backtest.layout import SAMPLE_COLUMNS, HostCapacity, TraceError
from controller.backtest.registry import write_hosts, write_tenants
from controller.backtest.writer import Form, SampleWriter
from controller.fairshare.figures import gather
from controller.fairshare.measured import ROW, measure
from controller.storage import schema
from controller.storage.database import Database
from fairuse_protocol.reports import Report, TenantUsage, decode_report

_SLICE_SECONDS = 300
"""Read at a time, of all hosts: what has to be in memory to write rows in order of time."""

_reports = schema.reports


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    hosts: int
    tenants: int
    reports: int
    left_out: int
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
    history = _History()
    hosts = await _hosts(database)
    writer = SampleWriter(out, "samples", form)
    try:
        for at in range(begin, end, _SLICE_SECONDS):
            until = min(at + _SLICE_SECONDS, end)
            rows: list[tuple[Any, ...]] = []
            async for report in _stored(database, hosts, at, until):
                rows += history.rows(report)
            if rows:
                writer.write(dict(zip(SAMPLE_COLUMNS, zip(*rows, strict=True), strict=True)))
            progress(until)
    finally:
        writer.close()
    if not history.reports:
        raise TraceError(
            f"expected reports that ended between {begin} and {end}, found none; "
            "see storage.keep_reports for how long they are kept"
        )
    write_hosts(out / "hosts.csv", history.capacities)
    write_tenants(out / "tenants.csv", history.weights)
    return Exported(
        len(history.capacities), len(history.weights), history.reports, history.left_out
    )


@dataclass(slots=True)
class _History:
    """What the reports so far said of hosts and tenants, the last of each."""

    capacities: dict[str, HostCapacity] = field(default_factory=dict)
    weights: dict[tuple[str, str], float] = field(default_factory=dict)
    last_time: dict[str, int] = field(default_factory=dict)
    reports: int = 0
    left_out: int = 0

    def rows(self, report: Report) -> list[tuple[Any, ...]]:
        """A report's rows; none where its host has no whole second left for it."""
        ended = math.ceil(report.started_at + report.seconds)
        time = max(ended, self.last_time.get(report.host, 0) + 1)
        if time > ended + 1:
            self.left_out += 1
            return []
        self.reports += 1
        self.last_time[report.host] = time
        self.capacities[report.host] = _capacity(report)
        self.weights |= {(report.host, each.tenant): each.weight for each in report.tenants}
        return list(report_rows(report, time))


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
    figures, seconds = gather(report), report.seconds
    measured = measure([figures])
    uses = [_use(tenant, seconds) for tenant in report.tenants]
    own = np.maximum(0.0, figures.delivered_rates - np.sum(uses, axis=0))
    waits = measured.host_waiting[:, 0]
    network = np.fmax(waits[ROW["net-in"]], waits[ROW["net-out"]])
    yield (time, report.host, "", seconds, *own, waits[ROW["cpu"]], waits[ROW["disk"]], network)
    for index, (tenant, use) in enumerate(zip(report.tenants, uses, strict=True)):
        cpu, disk = measured.waiting[[ROW["cpu"], ROW["disk"]], index]
        yield (time, report.host, tenant.tenant, seconds, *use, cpu, disk, network)


def _use(tenant: TenantUsage, seconds: float) -> tuple[float, ...]:
    amounts = (
        tenant.cpu_seconds,
        sum(disk.read_bytes + disk.written_bytes for disk in tenant.disks),
        sum(disk.reads + disk.writes for disk in tenant.disks),
        tenant.net_in_bytes,
        tenant.net_out_bytes,
    )
    return tuple(amount / seconds for amount in amounts)


def _capacity(report: Report) -> HostCapacity:
    capacity = report.usage.capacity
    return HostCapacity(
        capacity.cpu_cores,
        capacity.disk_bytes_per_second,
        capacity.disk_operations_per_second,
        capacity.net_in_bytes_per_second,
        capacity.net_out_bytes_per_second,
    )
