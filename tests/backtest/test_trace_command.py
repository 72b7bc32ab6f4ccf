from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from controller.backtest.trace import Trace
from tests.backtest.test_importing import bitbrains_file, record
from tests.cli.test_commands import ROOT, fairuse

BEGIN = 1_372_629_600


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    source = tmp_path / "machines"
    source.mkdir()
    for number in range(20):
        records = [
            record(BEGIN + 300 * step, 1 + number % 4, 5.0 + (step + number) % 7)
            for step in range(3 * 288)
        ]
        bitbrains_file(source, f"{number}.csv.gz", *records)
    return source


async def test_import_and_inject_write_traces_that_can_be_read(
    machines: Path, tmp_path: Path
) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    imported = await fairuse(
        "trace", "import", "bitbrains", str(machines), str(base), "--json", "--parquet",
        "--machines-per-host", "10", "--cores", "8", "--disk", "10 MB/s", "--net-in", "1 MB/s",
        "--net-out", "1 MB/s", "--disk-ops", "2000",
    )  # fmt: skip
    assert imported.status == 0, imported.err
    assert imported.document["hosts"] == 2
    assert imported.document["capacity"]["disk_bytes_per_second"] == 10e6
    injected = await fairuse(
        "trace", "inject", str(base), str(out), "--json", "--kind", "steady-cpu-hog",
        "--kind", "hourly-cron", "--per-kind", "1", "--capacity-missing", "1",
    )  # fmt: skip
    assert injected.status == 0, injected.err
    assert injected.document["episodes"] == 2
    assert injected.document["labels"]["steady-cpu-hog"]["1"] == 1
    trace = Trace.open(out)
    assert trace.hosts["h1"].cpu_cores == 8.0
    assert trace.hosts["h1"].disk_ops_per_second is None
    assert sum(len(batch) for batch in trace.intervals()) == 2 * 3 * 1440
    assert Trace.open_demand(out).hosts["h1"].disk_ops_per_second == 2000.0
    assert (out / "labels.csv").read_text().count("steady-cpu-hog") == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["import", "bitbrains", "/nonexistent", "out"], "expected a folder with one file"),
        (["import", "bitbrains", ".", "out", "--interval", "90"], "--interval: expected"),
        (["import", "bitbrains", ".", "out", "--disk", "fast"], "--disk: expected a rate"),
        (["inject", "/nonexistent", "out"], "truth.csv"),
        (["inject", ".", "out", "--kind", "x"], 'found "x"'),
        (["export", "out", "--config", "x", "--from", "then", "--to", "now"], "--from: expected"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(words: list[str], reason: str) -> None:
    ended = await fairuse("trace", *words)
    assert ended.status in (1, 2)
    assert reason in ended.err
    assert "Traceback" not in ended.err


async def test_fairuse_starts_without_numpy_and_says_what_traces_need(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['numpy'] = None; sys.modules['pyarrow'] = None\n"
        "from fairuse_cli.main import main; main()"
    )
    for words, status, expected in (
        (["--help"], 0, "trace"),
        (["trace", "inject", "a", "b"], 2, "pip install 'fairuse[backtest,controller]'"),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, *words, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode == status, out
        assert expected in out.decode()
