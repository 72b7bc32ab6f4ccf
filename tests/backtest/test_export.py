from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.backtest.export import export_history
from controller.backtest.layout import TraceError
from controller.backtest.trace import Trace
from controller.storage import reports
from controller.storage.database import Database
from fairuse_protocol.reports import Report, encode_report
from tests.databases import database_in
from tests.fairshare.reports import cpu_report, network_report


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(database_in(tmp_path))
    yield opened
    await opened.close()


async def store(database: Database, *stored: Report) -> None:
    rows = [
        reports.ReportRow(
            report.host, "s", place, report.started_at + report.seconds, encode_report(report)
        )
        for place, report in enumerate(stored)
    ]
    async with database.write() as connection:
        await reports.append(connection, rows)


async def test_history_comes_out_as_a_trace(database: Database, tmp_path: Path) -> None:
    await store(
        database,
        cpu_report(1000.2, {"a": 6.0, "b": 1.0}, throttled={"b": 0.1}, weights={"a": 2.0}),
        cpu_report(1000.9, {"c": 1.0}, host="h2"),
        cpu_report(1310.0, {"a": 5.0}, weights={"a": 3.0}),
        cpu_report(9000.0, {"a": 5.0}),
    )
    done = await export_history(database, tmp_path / "out", 500, 2000)
    assert (done.hosts, done.tenants, done.reports, done.left_out) == (2, 3, 3, 0)
    trace = Trace.open(tmp_path / "out")
    assert trace.weights == {("h1", "a"): 3.0, ("h1", "b"): 1.0, ("h2", "c"): 1.0}
    assert trace.hosts["h1"].cpu_cores == 8.0
    assert trace.hosts["h1"].disk_bytes_per_second is None
    batches = list(trace.intervals())
    assert [int(time) for batch in batches for time in batch.time] == [1001, 1001, 1310]
    first = batches[0]
    assert first.own.cpu_cores[0] == pytest.approx(0.0)
    assert first.own.cpu_wait[0] == pytest.approx(0.4)
    assert first.used.cpu_cores[:2].tolist() == [6.0, 1.0]
    assert first.used.cpu_wait[:2] == pytest.approx([0.3, 0.2]), "its own quota is taken off"


async def test_the_uplinks_worse_direction_is_every_tenants_net_wait(
    database: Database, tmp_path: Path
) -> None:
    await store(database, network_report(100, {"a": 1e6, "b": 2e6}, delayed=0.25, seconds=10))
    await export_history(database, tmp_path / "out", 0, 200, form="parquet")
    (batch,) = Trace.open(tmp_path / "out").intervals()
    assert batch.used.net_out_bytes_per_second.tolist() == [1e6, 2e6]
    assert batch.used.net_wait == pytest.approx([0.25, 0.25], abs=1e-3)


async def test_reports_that_crowd_into_one_second_are_counted_not_written_twice(
    database: Database, tmp_path: Path
) -> None:
    await store(
        database, *(cpu_report(100.0 + part / 10, {"a": 1.0}, seconds=0.1) for part in range(1, 6))
    )
    done = await export_history(database, tmp_path / "out", 0, 200)
    assert (done.reports, done.left_out) == (2, 3)
    assert sum(len(batch) for batch in Trace.open(tmp_path / "out").intervals()) == 2


async def test_nothing_to_export_says_so(database: Database, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"found none; see storage.keep_reports"):
        await export_history(database, tmp_path / "out", 0, 100)
