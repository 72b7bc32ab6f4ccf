"""`fairuse run`: limiter, controller and agent on this host, for real use, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from controller.settings import ControllerSettings, load_controller_settings
from fairuse_agent.limiter.settings import LimiterSettings, load_limiter_settings
from fairuse_agent.settings import AgentSettings, load_agent_settings
from fairuse_cli.failures import INTERNAL, USAGE, CommandFailed
from fairuse_cli.processes import Program, ProgramError, first_to_end, output_of, wait_ready
from fairuse_cli.run_files import RunFiles, RunFilesError
from fairuse_protocol.settings import SettingsError

_READY_SECONDS = 30.0
_STOP_SECONDS = 20.0
_MODES = {
    "observe": "watching, contacting nobody, limiting nobody",
    "contact": "watching and writing to customers, limiting nobody",
    "enforce": "watching, writing to customers, limiting those who stay over their share",
}

Directory = Annotated[Path, typer.Option(help="Configuration, state and logs of all three.")]


def run(directory: Directory = Path("var")) -> None:
    """Start limiter, controller and agent for real use on this host.

    The first start writes configuration files with which nobody is written to or limited.
    """
    files = RunFiles(directory.absolute())
    try:
        for made in files.write_defaults():
            print(f"fairuse: wrote {made}")
        asyncio.run(_Run(files).until_stopped())
    except (RunFilesError, SettingsError) as error:
        raise CommandFailed(USAGE, str(error)) from error
    except ProgramError as error:
        raise CommandFailed(INTERNAL, str(error)) from error


class _Run:
    """The three programs of one run."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._controller_settings: ControllerSettings = load_controller_settings(
            files.controller_config
        )
        self._agent_settings: AgentSettings = load_agent_settings(files.agent_config)
        self._limiter_settings: LimiterSettings = load_limiter_settings(files.limiter_config)
        self._url = self._agent_settings.controller.url
        self._credential = Path(self._agent_settings.controller.credential_file)
        self._limiter = self._program("limiter", "fairuse_agent.limiter.main", files.limiter_config)
        self._controller = self._program("controller", "controller.main", files.controller_config)
        self._agent = self._program("agent", "fairuse_agent.main", files.agent_config)
        self._started: list[Program] = []

    async def until_stopped(self) -> None:
        """Run until SIGINT or SIGTERM; ProgramError when one of the programs ends before."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        followers = [
            asyncio.create_task(program.follow(_prefixed(program)))
            for program in (self._limiter, self._controller, self._agent)
        ]
        stopped = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            print("fairuse: stopping")
        finally:
            working.cancel()
            stopped.cancel()
            await asyncio.gather(working, stopped, return_exceptions=True)
            await self._stop()
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)

    async def _work(self) -> None:
        await asyncio.sleep(0)  # the followers start reading the logs before there is output
        if os.geteuid() == 0:
            await self._start(self._limiter)
            await wait_ready(self._limiter, self._limiter_listens, timeout_seconds=_READY_SECONDS)
        else:
            print("fairuse: no limiter, for that needs root: observing only, whatever the mode")
        await self._start(self._controller)
        await wait_ready(self._controller, self._controller_answers, timeout_seconds=_READY_SECONDS)
        if not self._files.token.exists():
            await self._make_token()
        if not self._credential.exists():
            await self._enrol()
        check = await output_of(_argv("fairuse_agent.main", "check", self._files.agent_config))
        print("\n".join(f"check      | {line}" for line in check.splitlines()))
        await self._start(self._agent)
        self._say_where_things_are()
        ended = await first_to_end(self._started)
        raise ProgramError(ended.describe_end())

    def _say_where_things_are(self) -> None:
        mode = self._controller_settings.mode
        for line in (
            f"{mode}: {_MODES[mode]}",
            f"status page at {self._url}/ (any user name; the password is in {self._files.token})",
            f"from elsewhere: fairuse top --url {self._url} --token-file {self._files.token}",
            "Ctrl-C stops it",
        ):
            print(f"fairuse: {line}", flush=True)

    async def _start(self, program: Program) -> None:
        self._started.append(program)
        await program.start()

    async def _stop(self) -> None:
        """The limiter last but one: it lifts what it holds while nobody orders anything new."""
        for program in (self._agent, self._limiter, self._controller):
            status = await program.stop(_STOP_SECONDS)
            if status and program is self._limiter:
                print(f"fairuse: {program.describe_end()}")
                await self._lift_what_it_left()

    async def _lift_what_it_left(self) -> None:
        """A limiter that was killed lifted nothing, and no other is going to start after it."""
        argv = _argv("fairuse_agent.limiter.main", "lift-all", self._files.limiter_config)
        try:
            said = await output_of(argv)
        except ProgramError as error:
            print(f"fairuse: limits may still stand on this host: {error}", flush=True)
            return
        print("\n".join(f"lift-all   | {line}" for line in said.splitlines()), flush=True)

    async def _make_token(self) -> None:
        # A token's name is used once for ever, so that cases' histories stay clear.
        name = time.strftime("run-%Y%m%d-%H%M%S", time.gmtime())
        config = self._files.controller_config
        token = await output_of(
            _argv("controller.main", "token", config, "--role", "operator", "--name", name)
        )
        self._files.write_token(token, self._url)

    async def _enrol(self) -> None:
        host = self._agent_settings.host.name or socket.gethostname()
        config = self._files.controller_config
        token = await output_of(_argv("controller.main", "enrolment-token", config, "--host", host))
        said = await output_of(
            _argv("fairuse_agent.main", "enrol", self._files.agent_config, "--token", "-"),
            typed=token + "\n",
        )
        print(f"fairuse: {said}")

    async def _limiter_listens(self) -> bool:
        with suppress(OSError):  # not yet: wait_ready asks again
            _, writer = await asyncio.open_unix_connection(self._limiter_settings.socket)
            writer.close()
            return True
        return False

    async def _controller_answers(self) -> bool:
        return await asyncio.to_thread(_answers, f"{self._url}/healthz")

    def _program(self, name: str, module: str, config: Path) -> Program:
        return Program(name, _argv(module, "run", config), log_file=self._files.log(name))


def _argv(module: str, command: str, config: Path, *more: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, command, "--config", str(config), *more)


def _prefixed(program: Program) -> Callable[[str], None]:
    def show(line: str) -> None:
        print(f"{program.name:<10} | {line}", flush=True)

    return show


def _answers(url: str) -> bool:
    # No secret is shown here: only the agent has to know whom it speaks to.
    anyone = ssl.create_default_context()
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=2, context=anyone) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except OSError:  # not yet: wait_ready asks again
        return False
