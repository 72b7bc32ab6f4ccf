"""One run of the demo from start to end: set up, tell, serve if wanted, and leave nothing."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from fairuse_cli.demo import configuration, leftovers, signals
from fairuse_cli.demo.aftermath import lifted, neighbours_recovered, restored
from fairuse_cli.demo.chapter import limited, notice
from fairuse_cli.demo.configuration import Places
from fairuse_cli.demo.leftovers import Record
from fairuse_cli.demo.mailbox import Mailbox
from fairuse_cli.demo.narrator import Narrator, rate
from fairuse_cli.demo.programs import UNPRIVILEGED_USER, Programs, free_port, unprivileged_prefix
from fairuse_cli.demo.prologue import quiet, short_burst
from fairuse_cli.demo.simulation import Simulation
from fairuse_cli.demo.stage import TENANTS, UPLINK_BYTES_PER_SECOND, Stage
from fairuse_cli.demo.story import STEPS, StepFailed, Telling
from fairuse_cli.demo.subject import CPU, NETWORK
from fairuse_cli.demo.watching import Watching
from fairuse_cli.demo.workers import WorkerError
from fairuse_cli.demo.world import World
from fairuse_cli.failures import CommandFailed
from fairuse_cli.processes import ProgramError
from fairuse_protocol.messages import MessageError

STORY_FAILED = 1
_NICE = -15
_FAILURES = (
    StepFailed,
    ProgramError,
    WorkerError,
    CommandFailed,
    MessageError,
    aiohttp.ClientError,
    OSError,
)
"""What ends the story plainly; anything else is a defect of the demo, and is shown as one."""

Alive = Coroutine[None, None, None]
Host = Callable[[Programs], AbstractAsyncContextManager[Alive]]
"""Brings up the host that reports to the controller, for as long as it is entered. It gives what
runs as long as all is well, and raises when something has died."""


def run_on_kernel(*, once: bool, json_file: Path | None) -> int:
    """The story on this machine's kernel, as root. The exit status."""
    with leftovers.lock(), signals.raised():
        leftovers.clean()
        # The tenants weigh more than whatever else runs here; the programs must not starve.
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
        places = Places(leftovers.DIRECTORY)
        nobody = pwd.getpwnam(UNPRIVILEGED_USER).pw_uid
        prefix = unprivileged_prefix()
        places.make(nobody if prefix else os.geteuid())
        world = World(places, nobody)
        try:
            world.make()
            run = Run(places, world, prefix=prefix, once=once, json_file=json_file)
            return asyncio.run(run.play(lambda programs: _real_host(world, programs)))
        finally:
            with signals.ignored():
                leftovers.clean()


def run_simulated(*, once: bool, json_file: Path | None) -> int:
    """The same story over a simulated kernel. The exit status."""
    with signals.raised(), tempfile.TemporaryDirectory(prefix="fairuse-demo-") as directory:
        places = Places(Path(directory))
        places.make(os.geteuid())
        simulation = Simulation()
        run = Run(places, simulation, prefix=(), once=once, json_file=json_file)
        return asyncio.run(run.play(lambda programs: _simulated_host(simulation, programs)))


@asynccontextmanager
async def _real_host(world: World, programs: Programs) -> AsyncIterator[Alive]:
    try:
        await world.start(programs.record)
        await programs.start_host()
        yield programs.run()
    finally:
        await world.stop()


@asynccontextmanager
async def _simulated_host(simulation: Simulation, programs: Programs) -> AsyncIterator[Alive]:
    token = await programs.enrolment_token()
    yield _as_long_as(programs.run(), simulation.run(programs.url, token))


class Run:
    """Plays the story once on a stage."""

    def __init__(
        self,
        places: Places,
        stage: Stage,
        *,
        prefix: tuple[str, ...],
        once: bool,
        json_file: Path | None,
    ) -> None:
        """`prefix` runs a command without privileges; empty if that is not possible, or needed."""
        self._prefix = prefix
        self._places = places
        self._stage = stage
        self._once = once
        self._json_file = json_file
        self._narrator = Narrator(stage.kind)
        self._told = False

    async def play(self, host: Host) -> int:
        """Start everything, tell the story, stop everything. The exit status."""
        try:
            with signals.cancelling():
                return await self._set_up(host)
        except signals.Ended:
            if not self._told:
                raise
            return 0  # Ctrl-C is how a demo that has been told is meant to end

    async def _set_up(self, host: Host) -> int:
        self._opening()
        async with Mailbox(self._places.mails) as mailbox:
            programs = Programs(
                self._places,
                Record(self._places.directory),
                http_port=free_port(),
                prefix=self._prefix,
            )
            configuration.write(
                self._places,
                http_port=programs.http_port,
                smtp_port=mailbox.port,
                agents_user=UNPRIVILEGED_USER if self._prefix else "root",
            )
            try:
                return await self._play(programs, mailbox, host)
            finally:
                await programs.stop()

    async def _play(self, programs: Programs, mailbox: Mailbox, host: Host) -> int:
        telling = Telling(self._stage, mailbox, self._narrator)
        try:
            token = await programs.start_controller()
            telling.watching = Watching(programs.url, token)
            async with host(programs) as alive:
                await _as_long_as(alive, self._tell(telling, programs, token))
        except _FAILURES as error:
            telling.failed(error)
            self._write(telling)
            self._narrator.failed(telling.steps[-1], self._keep())
            return STORY_FAILED
        return 0

    async def _tell(self, telling: Telling, programs: Programs, token: str) -> None:
        """The steps in order; then, unless `once`, serve until cancelled."""
        await quiet(telling)
        await short_burst(telling)
        limit = await limited(telling, CPU, await notice(telling, CPU))
        await neighbours_recovered(telling, CPU, limit)
        await lifted(telling, CPU, limit)
        await restored(telling, CPU, limit)
        limit = await limited(telling, NETWORK, await notice(telling, NETWORK))
        await lifted(telling, NETWORK, limit)
        await restored(telling, NETWORK, limit)
        self._write(telling)
        self._told = True
        self._narrator.the_end(len(telling.steps))
        if not self._once:
            self._epilogue(programs, token, telling.mailbox)
            await asyncio.Event().wait()

    def _opening(self) -> None:
        if self._stage.kind == "simulated":
            kernel = "a simulated kernel"
            honest = (
                "The controller with its rule and its mails is real, the kernel and all figures "
                "are simulated; as root, this runs on the real kernel."
            )
        else:
            kernel = "this machine's kernel"
            honest = "All figures are measured from outside, by none of the programs shown."
        self._narrator.title("Fairuse demo", f"on {kernel}, {self._stage.cores} cores")
        self._narrator.say(
            f"Three customers share this machine, with equal rights: {', '.join(TENANTS)}. "
            f"Their uplink carries {rate(UPLINK_BYTES_PER_SECOND)}. {honest} "
            f"It takes about two minutes and {len(STEPS)} steps."
        )

    def _epilogue(self, programs: Programs, token: str, mailbox: Mailbox) -> None:
        links = [mail.link for mail in mailbox.mails if mail.link]
        environment = f"FAIRUSE_URL={programs.url} FAIRUSE_TOKEN={token}"
        fairuse = Path(sys.argv[0])
        self._narrator.serving(
            {
                "status page": f"{programs.url}/  (any user name, password {token})",
                "customer's page": links[-1] if links else "none",
                "API": f"{programs.url}/openapi.json",
                "command line": f"{environment} {fairuse} cases",
                "mails": str(self._places.mails),
            }
        )

    def _write(self, telling: Telling) -> None:
        """The JSON file, if one is wanted."""
        if self._json_file is None:
            return
        document = {
            "kernel": self._stage.kind,
            "cores": self._stage.cores,
            "ok": [step["step"] for step in telling.steps if step["ok"]] == list(STEPS),
            "seconds": round(self._narrator.seconds, 2),
            "steps": telling.steps,
        }
        self._json_file.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")

    def _keep(self) -> str:
        """Copy logs and mails to where they outlive the run; where that is."""
        kept = Path(tempfile.mkdtemp(prefix="fairuse-demo-failed-"))
        for source in (self._places.logs, self._places.mails):
            shutil.copytree(source, kept / source.name)
        return str(kept)


async def _as_long_as(alive: Alive, work: Alive) -> None:
    """Do the work, unless what has to be alive meanwhile dies first: then raise its error."""
    tasks = [asyncio.create_task(alive), asyncio.create_task(work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
