"""`fairuse demo` as a person runs it: told to the end, interrupted, and with a program killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairuse_cli.demo import leftovers
from fairuse_cli.demo.leftovers import Record
from fairuse_cli.demo.story import STEPS
from tests.demo.evidence import decided_again, decisions
from tests.demo.machine import alone_on_this_machine, demo_leftovers, our_ifb_names, root_network

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
STORY_SECONDS = 240


@contextmanager
def demo(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "fairuse_cli.main", "demo", *options],
            stdout=output,
            stderr=output,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)


def output(tmp_path: Path) -> str:
    return (tmp_path / "output").read_text()


def wait_for(tmp_path: Path, text: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while text not in output(tmp_path):
        assert process.poll() is None, output(tmp_path)
        assert time.monotonic() < give_up, output(tmp_path)
        time.sleep(0.1)


def pid_of(name: str) -> int:
    (pid,) = (pid for pid, each in Record(leftovers.DIRECTORY).alive().items() if each == name)
    return pid


@pytest.fixture
def clean_machine() -> Iterator[None]:
    """Nothing there before; nothing there after, or the test has failed."""
    with alone_on_this_machine():
        leftovers.clean()
    network = root_network()
    yield
    left, ifbs = demo_leftovers(), our_ifb_names()
    with alone_on_this_machine():
        leftovers.clean()
    assert left == []
    assert ifbs == []
    assert root_network() == network


def check_story(document: dict[str, Any], kernel: str) -> dict[str, dict[str, Any]]:
    assert document["kernel"] == kernel
    assert document["ok"] is True
    assert [step["step"] for step in document["steps"]] == list(STEPS)
    assert all(step["ok"] for step in document["steps"])
    times = [step["at"] for step in document["steps"]]
    assert times == sorted(times)
    steps = {step["step"]: step for step in document["steps"]}
    for chapter in ("cpu", "network"):
        assert steps[f"{chapter}-notice"]["sentence"].startswith("Over the last 8 seconds")
        limited = steps[f"{chapter}-limited"]
        assert abs(limited["held_to"] / limited["ordered"] - 1) <= 0.05
        assert limited["seconds_measured"] >= 10
        assert limited["seconds_after_notice"] >= 4.9
        assert limited["kernel"] != limited["kernel_before"]
        lifted = steps[f"{chapter}-lifted"]
        assert lifted["stood_seconds"] <= lifted["lease_seconds"] + 2
        assert steps[f"{chapter}-restored"]["kernel"] == limited["kernel_before"]
    recovered = steps["cpu-neighbours-recovered"]
    assert recovered["waiting_during"] < recovered["waiting_before"]
    return steps


def check_evidence(tmp_path: Path) -> None:
    """Promise 9, over every case and every order of a demo that is still running."""
    (database,) = tmp_path.rglob("fairuse.db")
    made = decisions(database)
    assert {verdict.resource for verdict, _ in made} == {"cpu", "net-out"}
    assert len(made) >= 4
    for verdict, rule in made:
        assert verdict.outcome == "disproportionate"
        assert decided_again(verdict, rule) == verdict


@pytest.mark.kernel
@needs_root
@pytest.mark.timeout(STORY_SECONDS + 60)
@pytest.mark.usefixtures("clean_machine")
def test_the_whole_story_is_seen_on_the_real_kernel_and_nothing_is_left(tmp_path: Path) -> None:
    with demo(tmp_path, "--once", "--json", str(tmp_path / "story.json")) as process:
        status = process.wait(timeout=STORY_SECONDS)
    assert status == 0, output(tmp_path)
    steps = check_story(json.loads((tmp_path / "story.json").read_text()), "real")
    assert steps["network-limited"]["way"]
    assert "simulated" not in output(tmp_path)


@pytest.mark.timeout(STORY_SECONDS + 60)
def test_the_simulated_story_is_the_same_and_says_so_on_every_line_until_ctrl_c(
    tmp_path: Path,
) -> None:
    with demo(tmp_path, "--simulated", "--json", str(tmp_path / "story.json")) as process:
        wait_for(tmp_path, "command line", process, STORY_SECONDS)
        (page,) = re.findall(r"http://\S+/c/\S+", output(tmp_path))
        check_evidence(tmp_path)
        with urllib.request.urlopen(page, timeout=10) as answer:
            assert "Closed on" in answer.read().decode(), "how it ended, and no more"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, output(tmp_path)
    check_story(json.loads((tmp_path / "story.json").read_text()), "simulated")
    lines = output(tmp_path).splitlines()
    assert lines
    assert [line for line in lines if not line.startswith("simulated ")] == []


@pytest.mark.kernel
@needs_root
@pytest.mark.timeout(200)
@pytest.mark.usefixtures("clean_machine")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path, "--once") as process:
        wait_for(tmp_path, "short-burst-ignored", process, 60)
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number


@pytest.mark.kernel
@needs_root
@pytest.mark.timeout(200)
@pytest.mark.usefixtures("clean_machine")
@pytest.mark.parametrize(
    ("program", "when"),
    [
        ("fairuse-limiter", "letting it settle"),  # while it holds a limit
        ("fairuse-agent", "short-burst-ignored"),
        ("fairuse-controller", "short-burst-ignored"),
    ],
    ids=["limiter", "agent", "controller"],
)
def test_a_program_that_is_killed_ends_the_demo_plainly_and_leaves_nothing(
    tmp_path: Path, program: str, when: str
) -> None:
    with demo(tmp_path, "--once", "--json", str(tmp_path / "story.json")) as process:
        wait_for(tmp_path, when, process, 120)
        os.kill(pid_of(program), signal.SIGKILL)
        assert process.wait(timeout=60) == 1
    assert f"{program} was ended by SIGKILL" in " ".join(output(tmp_path).split())
    last = json.loads((tmp_path / "story.json").read_text())["steps"][-1]
    assert last["ok"] is False
    assert last["step"] in STEPS
    (kept,) = re.findall(r"fairuse-demo-failed-\w+", output(tmp_path))
    assert (tmp_path / kept / "logs" / "controller.log").exists()


@pytest.mark.kernel
@needs_root
@pytest.mark.timeout(200)
@pytest.mark.usefixtures("clean_machine")
def test_a_demo_that_is_killed_while_a_limit_stands_is_mopped_up_by_clean(tmp_path: Path) -> None:
    with demo(tmp_path, "--once") as process:
        wait_for(tmp_path, "letting it settle", process, 120)
        process.kill()
        process.wait(timeout=10)
    assert demo_leftovers() != []
    done = subprocess.run(
        [sys.executable, "-m", "fairuse_cli.main", "demo", "--clean"],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
