"""Child processes that tell when they fail and never outlive their parent.

Output goes straight into the program's log file, not through a pipe: a child whose parent was
killed can still write, and therefore still end in good order (the limiter lifts what it holds).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_TAIL_BYTES = 64 * 1024
_POLL_SECONDS = 0.1

_libc = ctypes.CDLL(None, use_errno=True)


class ProgramError(Exception):
    """A program could not be started, died, or did not become ready. The text has its last
    lines, so that it can be shown to a person as it stands."""


class Program:
    """One child process with a name and a log file. It may be started again once it has ended.

    The child leads its own session, so that Ctrl-C reaches only the parent, which then stops its
    programs in the order that it wants. When the parent dies, the kernel sends it SIGTERM.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """`env` replaces the whole environment; None passes on the parent's."""
        self.name = name
        self.argv = tuple(argv)
        self.env = None if env is None else dict(env)
        self.log_file = log_file
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id, also after its end; None before the first start."""
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, -N for signal N, or None while it runs or was never started."""
        return None if self._process is None else self._process.returncode

    @property
    def running(self) -> bool:
        """True from start() until its end was noticed."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, or raise ProgramError. The parent's main thread has to be the caller: the
        kernel ties "parent died" to the thread that forked."""
        if self.running:
            raise ProgramError(f"{self.name} is already running as process {self.pid}")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.env,
                    cwd=self._directory,
                    start_new_session=True,
                    preexec_fn=_end_with_parent(os.getpid()),
                )
            except OSError as error:
                raise ProgramError(f"{self.name}: {self.argv[0]} cannot be run: {error}") from error

    async def wait(self) -> int:
        """Wait for its end; the exit status."""
        if self._process is None:
            raise ProgramError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self, grace_seconds: float = 10.0) -> int | None:
        """SIGTERM, then SIGKILL to its whole session after `grace_seconds`. None: never ran."""
        if self._process is None:
            return None
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_seconds):
                    await self._process.wait()
            except TimeoutError:
                _kill_group(self._process.pid)
        return await self._process.wait()

    def last_lines(self, count: int = 20) -> list[str]:
        """The last `count` lines that it wrote, of all its runs."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-count:]

    def describe_end(self) -> str:
        """A sentence on how it ended and its last lines, for a person."""
        code = self.returncode
        if code is None:
            how = "has not ended" if self.running else "was never started"
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with status {code}"
        lines = "".join(f"\n    {line}" for line in self.last_lines())
        return f"{self.name} {how}; the end of {self.log_file}:{lines or ' (it wrote nothing)'}"

    async def follow(self, show: Callable[[str], None]) -> None:
        """Call `show` with every line that is written from now on, until cancelled."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.touch()
        with self.log_file.open("rb") as log:
            log.seek(0, os.SEEK_END)
            partial = b""
            while True:
                *lines, partial = (partial + log.read()).split(b"\n")
                for line in lines:
                    show(line.decode(errors="replace"))
                await asyncio.sleep(_POLL_SECONDS)


async def wait_ready(
    program: Program, is_ready: Callable[[], Awaitable[bool]], *, timeout_seconds: float
) -> None:
    """Ask `is_ready` until it says yes. Raise ProgramError if the program dies first or time
    runs out."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while not await is_ready():
        if not program.running:
            raise ProgramError(program.describe_end())
        if asyncio.get_running_loop().time() > deadline:
            raise ProgramError(
                f"{program.name} was not ready after {timeout_seconds:g} s: "
                f"{program.describe_end()}"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def first_to_end(programs: Sequence[Program]) -> Program:
    """Wait until any of the programs ends; which one."""
    waits = {asyncio.create_task(program.wait()): program for program in programs}
    try:
        ended, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return waits[ended.pop()]
    finally:
        for wait in waits:
            wait.cancel()


async def output_of(argv: Sequence[str], *, typed: str = "", timeout_seconds: float = 30.0) -> str:
    """Run a short command with `typed` as its standard input; what it wrote to standard output.
    Raise ProgramError with what it wrote to standard error when it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_end_with_parent(os.getpid()),
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, errors = await process.communicate(typed.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ProgramError(
            f"{' '.join(argv)} ended with status {process.returncode}: "
            f"{errors.decode(errors='replace').strip()}"
        )
    return output.decode().strip()


def _end_with_parent(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died between fork and prctl
            sys.exit(1)

    return in_child


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended between the timeout and here
