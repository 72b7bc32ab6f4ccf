"""The three programs as real child processes, set up as a provider would."""

from __future__ import annotations

import asyncio
import http.client
import os
import pwd
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from fairuse_cli.demo.configuration import Places
from fairuse_cli.demo.leftovers import Record
from fairuse_cli.demo.stage import HOST
from fairuse_cli.processes import Program, ProgramError, first_to_end, wait_ready

UNPRIVILEGED_USER = "nobody"
READY_SECONDS = 20.0
_COMMAND_SECONDS = 20.0
_READ_EVERYTHING = "dac_read_search"


def unprivileged_prefix() -> tuple[str, ...]:
    """What runs a command as nobody, or nothing where that cannot be done.

    Where nobody may not read this Python or this code (a clone in root's home), the program keeps
    the one capability of reading files.
    """
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return ()
    places = (Path(sys.base_prefix), Path(sys.prefix), Path(__file__))
    kept = "" if all(map(_readable_by_all, places)) else f",+{_READ_EVERYTHING}"
    return (
        setpriv,
        f"--reuid={UNPRIVILEGED_USER}",
        f"--regid={_group()}",
        "--clear-groups",
        f"--inh-caps=-all{kept}",
        f"--ambient-caps=-all{kept}",
        f"--bounding-set=-all{kept}",
        "--no-new-privs",
        "--pdeathsig=TERM",
        "--",
    )


def _group() -> int:
    return pwd.getpwnam(UNPRIVILEGED_USER).pw_gid


def _readable_by_all(path: Path) -> bool:
    return all(above.stat().st_mode & 0o001 for above in path.resolve().parents)


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Programs:
    """Limiter, agent and controller of one run."""

    def __init__(
        self, places: Places, record: Record, *, http_port: int, prefix: tuple[str, ...]
    ) -> None:
        """`prefix` is what runs the agent and the controller without privileges."""
        self._places = places
        self.record = record
        self.http_port = http_port
        self._prefix = prefix
        self.url = f"http://127.0.0.1:{http_port}"
        self.limiter = self._program(
            "limiter", "fairuse_agent.limiter.main", places.limiter_settings
        )
        self.agent = self._program("agent", "fairuse_agent.main", places.agent_settings)
        self.controller = self._program("controller", "controller.main", places.controller_settings)

    def _program(self, name: str, module: str, settings: Path) -> Program:
        return Program(
            f"fairuse-{name}",
            self._argv(name, module, "run", "--config", str(settings)),
            log_file=self._places.logs / f"{name}.log",
        )

    def _argv(self, name: str, *arguments: str) -> tuple[str, ...]:
        prefix = () if name == "limiter" else self._prefix
        return (*prefix, sys.executable, "-m", *arguments)

    async def start_controller(self) -> str:
        """Start the controller; an operator's token for it."""
        await self._start(self.controller, self._controller_answers)
        return await self._command(
            "controller.main",
            *("token", "--role", "operator", "--name", "demo"),
            *("--config", str(self._places.controller_settings)),
        )

    async def enrolment_token(self) -> str:
        """A one-time token for the demo's host."""
        return await self._command(
            "controller.main",
            *("enrolment-token", "--host", HOST),
            *("--config", str(self._places.controller_settings)),
        )

    async def start_host(self) -> None:
        """Start the limiter, enrol the agent and start it."""
        await self._start(self.limiter, self._limiter_listens)
        await self._command(
            "fairuse_agent.main",
            *("enrol", "--token", "-", "--config", str(self._places.agent_settings)),
            input_line=await self.enrolment_token(),
        )
        await self._start(self.agent, _at_once)

    async def _start(self, program: Program, is_ready: Callable[[], Awaitable[bool]]) -> None:
        await program.start()
        if program.pid is not None:
            self.record.add(program.name, program.pid)
        await wait_ready(program, is_ready, timeout_seconds=READY_SECONDS)

    async def _controller_answers(self) -> bool:
        return await asyncio.to_thread(_answers, self.http_port)

    async def _limiter_listens(self) -> bool:
        path = self._places.limiter / "limiter.sock"
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    async def _command(self, *arguments: str, input_line: str = "") -> str:
        """Run one command as the unprivileged user; the one line that it prints."""
        process = await asyncio.create_subprocess_exec(
            *self._argv("", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                out, errors = await process.communicate(f"{input_line}\n".encode())
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise ProgramError(
                f"{' '.join(arguments[:2])} ended with status {process.returncode}: "
                f"{errors.decode(errors='replace').strip()}"
            )
        return out.decode().strip()

    async def run(self) -> None:
        """Wait for as long as all that were started run; raise ProgramError when one has ended."""
        all_three = (self.limiter, self.agent, self.controller)
        ended = await first_to_end([program for program in all_three if program.pid is not None])
        raise ProgramError(ended.describe_end())

    async def stop(self) -> None:
        """The agent first, then the limiter, which lifts what it holds, then the controller."""
        for program in (self.agent, self.limiter, self.controller):
            await program.stop()


async def _at_once() -> bool:
    return True


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
