"""A backtest on the command line: read with a progress bar, then told."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from controller.backtest.events import EventStore
from controller.backtest.extent import expected_rows
from controller.backtest.outcome import Played, play
from controller.backtest.reporting.page import write_page
from controller.backtest.trace import Trace
from controller.fairshare.policy import Policy
from fairuse_cli.backtest_summary import summary
from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.tables import is_plain
from fairuse_protocol.settings import load_settings

_QUIET_SECONDS = 2.0
"""What is done sooner needs no progress bar."""
_WIDTH = 100


def run(
    directory: Path,
    policy_files: Sequence[Path],
    console: Console,
    *,
    as_json: bool,
    report: Path | None,
) -> None:
    """Play the trace and tell; raises TraceError and SettingsError."""
    policies = _labelled(policy_files)
    trace = Trace.open(directory)
    if report is not None:
        _make_directory(report)
    with (
        _progress(expected_rows(trace.samples)) as bar,
        play(trace, policies, bar.advance) as played,
    ):
        bar.finish()
        if report is not None:
            _write_report(played, policy_files, report)
        if as_json:
            _print_events(played.outcomes[0].events)
        else:
            console.width = min(console.width, _WIDTH)
            console.print(summary(played, policy_files, plain=is_plain(console)))


def _labelled(policy_files: Sequence[Path]) -> list[tuple[str, Policy]]:
    """The policies with their names, or with their files' where two have one name."""
    policies = [load_settings(file, Policy) for file in policy_files]
    named = len({policy.name for policy in policies}) == len(policies)
    return [
        (policy.name if named else str(file), policy)
        for file, policy in zip(policy_files, policies, strict=True)
    ]


def _make_directory(report: Path) -> None:
    """Before the work rather than after it."""
    try:
        report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(
            USAGE, f"--report: expected a folder that can be made, found {report}: {error.strerror}"
        ) from error


def _write_report(played: Played, policy_files: Sequence[Path], report: Path) -> None:
    style = files("controller.web").joinpath("static", "fairuse.css").read_text(encoding="utf-8")
    try:
        page = write_page(played, report, style=style)
        (report / "policies.json").write_bytes(_told_policies(policy_files))
    except OSError as error:
        raise CommandFailed(USAGE, f"--report: {report} cannot be written: {error}") from error
    print(f"fairuse: wrote {page}", file=sys.stderr)


def _told_policies(policy_files: Sequence[Path]) -> bytes:
    """Which files the report is about: a rollout does not enforce another than was played."""
    told = [
        {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in policy_files
    ]
    return msgspec.json.format(msgspec.json.encode(told)) + b"\n"


def _print_events(events: EventStore) -> None:
    encoder = msgspec.json.Encoder()
    for event in events.in_order():
        sys.stdout.write(encoder.encode(event).decode() + "\n")


class _Bar:
    """A progress bar over rows, that shows itself only when the work takes long."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._rows = progress.add_task("reading the trace", total=total or None)
        self._shown_from = time.monotonic() + _QUIET_SECONDS
        self._shown = False

    def advance(self, rows: int) -> None:
        """So many more are read."""
        self._progress.advance(self._rows, rows)
        if not self._shown and time.monotonic() >= self._shown_from:
            self._shown = True
            self._progress.start()

    def finish(self) -> None:
        """All are read, however many were expected."""
        self._progress.update(self._rows, total=self._progress.tasks[0].completed)
        self.stop()

    def stop(self) -> None:
        """No more will be read; of a bar that never showed itself, nothing is left behind."""
        if self._shown:
            self._shown = False
            self._shown_from = math.inf
            self._progress.stop()


@contextmanager
def _progress(total: int) -> Iterator[_Bar]:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    bar = _Bar(progress, total)
    try:
        yield bar
    finally:
        bar.stop()
