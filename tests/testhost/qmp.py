"""One qemu process, spoken to in QMP over its standard input and output."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

from .commands import tail
from .needs import SEARCH_PATH

# The kernel ends it with its parent, however that one ends.
_QEMU = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"]
_QEMU += ["-no-user-config", "-S", "-qmp", "stdio"]


class QemuEndedError(Exception):
    """The machine is not there any more; says what qemu said."""


class Qemu:
    """Started with its processors stopped: `command("cont")` lets them run.

    It never outlives the process that started it, however that ends.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill()
        # A session of its own: Ctrl-C reaches only the parent, which then stops it.
        self._process = subprocess.Popen(
            [*_QEMU, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
            env={**os.environ, "PATH": SEARCH_PATH},
        )
        try:
            self._next()
            self.command("qmp_capabilities")
        except QemuEndedError:
            self.kill()
            raise

    def command(self, name: str, **arguments: Any) -> Any:
        """Its answer; events that come in between are dropped."""
        assert self._process.stdin
        request = json.dumps({"execute": name, "arguments": arguments})
        try:
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        while True:
            answer = self._next()
            if "error" in answer:
                raise QemuEndedError(f"qemu refused {request}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line: str) -> str:
        """The answer of qemu's monitor for people, for what QMP has no command for."""
        return str(self.command("human-monitor-command", **{"command-line": line}))

    def running(self) -> bool:
        return self._process.poll() is None

    def ended(self, timeout_seconds: float) -> bool:
        """Whether it ends by itself within that time."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once; nothing of a throw-away machine needs saving."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            assert pipe
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what could not be written to it is lost with it

    def _next(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def _ended(self) -> QemuEndedError:
        code = self._process.wait(10)
        self._said.seek(0)
        return QemuEndedError(f"qemu ended with {code}:\n{tail(self._said.read())}")
