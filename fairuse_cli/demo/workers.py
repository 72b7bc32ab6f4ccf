"""Starts and commands the processes of the demo's tenants and of the far end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fairuse_cli.demo.stage import Load

_ANSWER_SECONDS = 10.0


class WorkerError(Exception):
    """A worker does not do as it was told. The text says where its output is."""


class Worker:
    """One process, in its cgroups and namespace, that holds the load it was last given."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log_file: Path) -> None:
        self.name = name
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise ValueError("expected a process with pipes for its standard input and output")
        self._input, self._output = process.stdin, process.stdout
        self._log_file = log_file

    @classmethod
    async def start(
        cls,
        name: str,
        *,
        cgroups: Sequence[Path],
        namespace: str,
        peer: str,
        user: int,
        log_file: Path,
    ) -> Worker:
        """Start it and wait until it has settled. No `peer`: it is the far end."""
        arguments = [f"--cgroup={cgroup}" for cgroup in cgroups]
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "fairuse_cli.demo.worker",
                *arguments,
                f"--namespace={namespace}",
                f"--peer={peer}",
                f"--user={user}",
                f"--parent={os.getpid()}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        worker = cls(name, process, log_file)
        await worker._answer()
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def load(self, load: Load) -> None:
        """Replace its load."""
        await self._ask({"cpu": load.cpu, "send": load.send, "fetch": load.fetch})

    async def received(self) -> dict[str, int]:
        """What the far end has taken so far, in bytes of payload by sender's address."""
        counted: dict[str, int] = json.loads(await self._ask({}))
        return counted

    async def _ask(self, command: dict[str, object]) -> bytes:
        self._input.write(json.dumps(command).encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> bytes:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self._output.readline()
        except TimeoutError:
            answer = b""
        if not answer:
            raise WorkerError(f"{self.name} does not answer; its output is in {self._log_file}")
        return answer

    async def stop(self) -> None:
        """End it; it has nothing to tidy up."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
