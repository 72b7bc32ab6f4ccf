"""`fairuse backtest` as scripts and people meet it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backtest.recordings import minutes, record
from tests.cli.test_commands import ROOT, fairuse

HASTY = """
name = "hasty"
[rule]
window = "5m"
[severity.low]
harmed_share = 0.0
waiting = 0.0
deadline = "5m"
[severity.high]
harmed_share = 1.0
waiting = 1.0
deadline = "5m"
[severity.critical]
harmed_share = 1.0
waiting = 1.0
deadline = "5m"
[times]
mail_arrives_within = "1m"
[limit]
lease = "5m"
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return record(tmp_path / "recorded", minutes("c" * 10 + "b" * 14 + "c" * 26))


@pytest.fixture
def hasty(tmp_path: Path) -> Path:
    path = tmp_path / "hasty.toml"
    path.write_text(HASTY)
    return path


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    path = tmp_path / "patient.toml"
    path.write_text('name = "patient"\n[rule]\nwindow = "2h"\n')
    return path


async def test_json_is_the_events_in_order_and_nothing_else(trace: Path, hasty: Path) -> None:
    ended = await fairuse("backtest", str(trace), "--policy", str(hasty), "--json")
    assert (ended.status, ended.err) == (0, "")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["event"] for event in events] == [
        "case-opened",
        "notice-sent",
        "limit-applied",
        "limit-lifted",
        "case-closed",
    ]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


async def test_the_summary_says_it_in_one_sentence_and_counts_it(trace: Path, hasty: Path) -> None:
    ended = await fairuse(
        "backtest", str(trace), "--policy", str(hasty), COLUMNS="100", PYTHONUTF8="1"
    )
    assert (ended.status, ended.err) == (0, "")
    flat = " ".join(ended.out.split())
    assert "on 1 host, 1 of 4 customers would have been written to" in flat
    assert "limited for 5 minutes in all." in flat
    assert "in all 1 1 1 5m" in flat
    for section in ("by resource", "by customer", "by day"):
        assert section in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "\x1b" not in ended.out


async def test_two_policies_stand_side_by_side(trace: Path, hasty: Path, patient: Path) -> None:
    ended = await fairuse(
        "backtest", str(trace), "--policy", str(patient), "--compare", str(hasty), COLUMNS="100"
    )
    assert ended.status == 0
    flat = " ".join(ended.out.split())
    assert "patient: Over 50 minutes on 1 host, none of 4 customers" in flat
    assert "hasty: Over 50 minutes on 1 host, 1 of 4 customers" in flat
    assert "in all - 1 - 1 - 1 - 5m" in flat
    assert "only by hasty 1 hog" in flat


async def test_a_terminal_without_unicode_gets_a_plain_summary(trace: Path, hasty: Path) -> None:
    ended = await fairuse(
        "backtest", str(trace), "--policy", str(hasty), PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert ended.status == 0
    assert ended.out.isascii()


async def test_a_report_is_one_page_that_needs_nothing_else(
    trace: Path, hasty: Path, patient: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report"
    ended = await fairuse(
        "backtest", str(trace), "--policy", str(patient), "--compare", str(hasty),
        "--report", str(out),
    )  # fmt: skip
    assert ended.status == 0
    assert ended.err.strip() == f"fairuse: wrote {out}/index.html"
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "policies.json"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe|object)\b|@import|url\(", page)
    assert not re.findall(r'(?:href|src)="', page)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace": "/nonexistent"}, "expected one of hosts.csv"),
        ({"policy": "/nonexistent.toml"}, "cannot be read"),
        ({"more": ["--compare", "/nonexistent.toml"]}, "cannot be read"),
        ({"more": ["--report", "/dev/null/report"]}, "--report: expected a folder"),
        ({"more": ["--json", "--compare", "x.toml"]}, "leave --compare out"),
    ],
)
async def test_what_cannot_be_done_is_one_line_and_status_2(
    trace: Path, hasty: Path, change: dict[str, Any], reason: str
) -> None:
    ended = await fairuse(
        "backtest", change.get("trace", str(trace)),
        "--policy", change.get("policy", str(hasty)), *change.get("more", []),
    )  # fmt: skip
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_a_bad_cell_far_into_the_trace_is_named_by_its_line(trace: Path, hasty: Path) -> None:
    samples = trace / "samples.csv"
    lines = samples.read_text().splitlines()
    lines[100] = lines[100].replace(",60,", ",-60,", 1)
    samples.write_text("\n".join(lines) + "\n")
    ended = await fairuse("backtest", str(trace), "--policy", str(hasty), "--json")
    assert (ended.status, ended.out) == (2, "")
    assert f"{samples}:101: seconds: expected" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_without_its_libraries_it_names_the_extra_to_install(trace: Path, hasty: Path) -> None:
    without = (
        "import sys; sys.modules['pyarrow'] = None; "
        "from fairuse_cli.main import main; sys.argv[0] = 'fairuse'; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", without, "backtest", str(trace), "--policy", str(hasty)],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'fairuse[backtest,cli]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
