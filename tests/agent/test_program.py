"""The program as it is started: real processes, real kernel readings, a controller on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairuse_agent.reporting.credential import store_credential
from fairuse_agent.reporting.spool_files import StoredReport, scan
from fairuse_cli.processes import Program
from tests.agent.controller_double import ControllerDouble
from tests.agent.rig import until

AGENT = [sys.executable, "-m", "fairuse_agent.main"]


def write_config(tmp_path: Path, url: str, more: str = "") -> Path:
    config = tmp_path / "agent.toml"
    config.write_text(
        f"""
        [controller]
        url = "{url}"
        credential_file = "{tmp_path}/state/credential"
        [sampling]
        interval = "1s"
        [spool]
        directory = "{tmp_path}/state/spool"
        [host]
        name = "h1"
        [limiter]
        socket = "{tmp_path}/limiter.sock"
        [[tenants]]
        cgroup = "fairuse-no-such-{{tenant}}"
        {more}
        """
    )
    return config


@pytest.fixture
async def agent(tmp_path: Path, controller: ControllerDouble) -> AsyncIterator[Program]:
    (tmp_path / "state").mkdir()
    store_credential(tmp_path / "state" / "credential", controller.credential)
    config = write_config(tmp_path, controller.url)
    program = Program(
        "agent", [*AGENT, "run", "--config", str(config)], log_file=tmp_path / "agent.log"
    )
    try:
        yield program
    finally:
        await program.stop(2)


async def test_it_reports_this_host_until_sigterm_ends_it_at_once(
    agent: Program, controller: ControllerDouble, tmp_path: Path
) -> None:
    await agent.start()
    await until(lambda: len(controller.arrived) >= 2, 20)
    report = controller.arrived[-1]
    assert report.limiter is None
    assert any("no limiter" in note for note in report.notes)
    assert 0.8 < report.seconds < 1.6
    assert await asyncio.wait_for(agent.stop(5), 3) == 0
    newest = controller.arrived[-1].sequence
    left = [kept.sequence for kept in whole_reports(tmp_path / "state" / "spool")]
    assert all(sequence >= newest for sequence in left), "only what was under way waits on disk"


def whole_reports(spool: Path) -> list[StoredReport]:
    """A file that is just being written is not one yet: a kill then tears it, and it is counted."""
    return scan(spool)[0] if spool.is_dir() else []


async def test_kill_9_while_the_controller_is_away_loses_no_report_and_doubles_none(
    agent: Program, controller: ControllerDouble, tmp_path: Path
) -> None:
    await controller.stop()
    await agent.start()
    spool = tmp_path / "state" / "spool"
    await until(lambda: len(whole_reports(spool)) >= 2, 20)
    assert agent.pid is not None
    os.kill(agent.pid, signal.SIGKILL)
    await agent.wait()
    waiting = whole_reports(spool)
    await controller.start()
    await agent.start()
    await until(lambda: len(controller.arrived) >= len(waiting) + 1, 20)
    keys = [(report.spool, report.sequence) for report in controller.arrived]
    assert len(set(keys)) == len(keys)
    first_series = [sequence for spool_id, sequence in keys if spool_id == keys[0][0]]
    assert first_series == list(range(len(waiting)))
    starts = [report.started_at for report in controller.arrived]
    assert starts == sorted(starts)


async def test_sampling_goes_on_while_the_controller_hangs(
    agent: Program, controller: ControllerDouble, tmp_path: Path
) -> None:
    controller.answers.clear()
    await agent.start()
    await until(lambda: len(list((tmp_path / "state" / "spool").glob("*.report"))) >= 3, 20)
    assert controller.requests == 1
    assert await asyncio.wait_for(agent.stop(5), 3) == 0


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AGENT, *arguments], capture_output=True, text=True, timeout=30, input=stdin, check=False
    )


async def test_enrolment_and_check_from_the_command_line(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    config = str(write_config(tmp_path, controller.url))
    refused = await asyncio.to_thread(run, "enrol", "--config", config, "--token", "spent")
    assert refused.returncode == 2
    assert "403 token: it is not known" in refused.stderr
    done = await asyncio.to_thread(
        run, "enrol", "--config", config, "--token", "-", stdin=controller.token + "\n"
    )
    assert done.returncode == 0, done.stderr
    assert controller.credential not in done.stdout + done.stderr
    checked = await asyncio.to_thread(run, "check", "--config", config)
    assert checked.returncode == 0, checked.stderr
    assert "this host has a credential" in checked.stdout
    assert "no [[tenants]] rule and no kind in discover matches" in checked.stdout
    assert "nothing can be limited here" in checked.stdout
    assert controller.credential not in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("url", "more", "expected"),
    [
        ("http://10.1.2.3", "", "plain http is for loopback addresses only"),
        ("http://127.0.0.1:1", "", "this host has no credential yet"),
        ("http://127.0.0.1:1", "wieght = 2.0", "wieght"),
    ],
    ids=["plain http", "not enrolled", "wrong key"],
)
def test_what_can_never_work_stops_the_start_with_a_sentence(
    tmp_path: Path, url: str, more: str, expected: str
) -> None:
    config = write_config(tmp_path, url, more)
    ended = run("run", "--config", str(config))
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_part_that_dies_ends_the_program_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store_credential(tmp_path / "state" / "credential", "c")
    config = write_config(tmp_path, "http://127.0.0.1:1")
    code = f"""
import sys
from fairuse_agent import main
async def dies(self):
    raise RuntimeError("a part fell off")
main.Spool.write_behind = dies
sys.exit(main.main(["run", "--config", {str(config)!r}]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "a part fell off" in ended.stderr
