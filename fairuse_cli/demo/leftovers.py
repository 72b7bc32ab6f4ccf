"""What a run of the demo puts on the machine, and how all of it goes away again.

The kernel's side has fixed names. Processes are recorded by their id and start time, so that none
is ended that only has the same id. The lock keeps two demos apart.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fairuse_cli.demo import links
from fairuse_cli.demo.cgroups import Hierarchies, WorldError
from fairuse_cli.demo.configuration import Places
from fairuse_cli.demo.stage import TENANTS

DIRECTORY = Path("/run/fairuse-demo")
LOCK_FILE = Path("/run/fairuse-demo.lock")
_LIFT_SECONDS = 40.0
_TERM_SECONDS = 10.0
_KILL_SECONDS = 5.0


class AlreadyRunning(Exception):
    """Another demo runs on this machine. The text says which process."""


class CannotClean(Exception):
    """Something of the demo is still there. The text says what."""


class Record:
    """The processes of this run, in a file that outlives it."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "processes.json"

    def add(self, name: str, pid: int) -> None:
        """Record a process that was just started."""
        started = start_time(pid)
        if started is not None:
            self._write([*self._entries(), (name, pid, started)])

    def alive(self) -> dict[int, str]:
        """The recorded processes that still run, by id."""
        return {pid: name for name, pid, started in self._entries() if start_time(pid) == started}

    def _entries(self) -> list[tuple[str, int, int]]:
        if not self._file.exists():
            return []
        return [(name, pid, started) for name, pid, started in json.loads(self._file.read_text())]

    def _write(self, entries: list[tuple[str, int, int]]) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(entries))
        new.replace(self._file)


def start_time(pid: int) -> int | None:
    """When the process started, in ticks since boot; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


@contextmanager
def lock() -> Iterator[None]:
    """Hold this machine's demo lock, or raise AlreadyRunning."""
    held = _take_lock()
    try:
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield
    finally:
        LOCK_FILE.unlink()
        held.close()


def _take_lock() -> TextIO:
    while True:
        held = LOCK_FILE.open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held.seek(0)
            owner = held.read().strip()
            held.close()
            raise AlreadyRunning(
                f"expected no other demo on this machine, found one: process {owner}"
            ) from error
        if _is_still_there(held):
            return held
        held.close()  # its last owner removed it between our opening and locking it


def _is_still_there(held: TextIO) -> bool:
    try:
        return os.path.samestat(os.fstat(held.fileno()), LOCK_FILE.stat())
    except FileNotFoundError:
        return False


def clean() -> None:
    """Remove whatever a run has left on this machine; nothing, if nothing is there.

    Programs end first (the limiter lifts what it holds), then what the journal still has is
    lifted, then tenants, links and groups go. Raises CannotClean.
    """
    _end(Record(DIRECTORY).alive())
    places = Places(DIRECTORY)
    if places.limiter_settings.exists():
        _lift_all(places.limiter_settings)
    try:
        links.remove(TENANTS)
        Hierarchies.here().remove()
    except (OSError, WorldError) as error:
        raise CannotClean(f"the demo's world cannot be removed: {error}") from error
    if DIRECTORY.exists():
        shutil.rmtree(DIRECTORY)


def _lift_all(settings: Path) -> None:
    command = [sys.executable, "-m", "fairuse_agent.limiter.main", "lift-all", "--config"]
    done = subprocess.run(  # noqa: S603 - our own program
        [*command, str(settings)],
        capture_output=True,
        text=True,
        timeout=_LIFT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise CannotClean(
            f"expected `fairuse-limiter lift-all --config {settings}` to lift everything, found "
            f"status {done.returncode}: {done.stderr.strip()}"
        )


def _end(processes: dict[int, str]) -> None:
    """SIGTERM, then SIGKILL for those that stay."""
    for number, patience in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        started = {pid: start_time(pid) for pid in processes}
        for pid, since in started.items():
            if since is not None:
                os.kill(pid, number)
        give_up = time.monotonic() + patience
        while time.monotonic() < give_up:
            if not any(since and start_time(pid) == since for pid, since in started.items()):
                return
            time.sleep(0.05)
    left = {pid: name for pid, name in processes.items() if start_time(pid) is not None}
    if left:
        raise CannotClean(f"processes do not end: {left}")
