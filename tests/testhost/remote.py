"""Commands and files over SSH, through one connection that is kept open."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import commands
from .commands import tail

_GOING_SECONDS = 10.0


@dataclass(frozen=True)
class Result:
    """How a command on the test host ended."""

    command: str
    returncode: int
    stdout: str
    stderr: str


class RemoteCommandFailedError(Exception):
    """A command on the test host failed, or took too long."""


class Remote:
    """root's SSH to one machine."""

    # What ssh itself ends with when the connection, not the command, failed.
    NO_CONNECTION = 255

    def __init__(self, port: int, private_key: Path, host_key: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fairuse-ssh-"))
        known_hosts = self._folder / "known_hosts"
        known_hosts.write_text(f"fairuse-test-host {host_key}")
        self.options = [
            f"Port={port}",
            "User=root",
            f"IdentityFile={private_key}",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            "HostKeyAlias=fairuse-test-host",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=6",
            "LogLevel=ERROR",
        ]
        self._control = self._folder / "control"
        self._shared = ["ControlMaster=auto", f"ControlPath={self._control}", "ControlPersist=yes"]

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        timeout_seconds: float = 120.0,
        stdin: str | bytes = "",
    ) -> Result:
        """Run it in root's shell. Unless `check` is off, anything but 0 raises an error."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            ended = subprocess.run(
                [*self._ssh(), command],
                input=given,
                capture_output=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise RemoteCommandFailedError(
                f"on the test host, not done after {timeout_seconds:.0f} s: {command}\n"
                f"{tail(late.stdout or b'')}\n{tail(late.stderr or b'')}"
            ) from None
        stdout, stderr = ended.stdout.decode(), ended.stderr.decode(errors="replace")
        if check and ended.returncode:
            raise RemoteCommandFailedError(
                f"on the test host, ended with {ended.returncode}: {command}\n"
                f"{tail(stdout)}\n{tail(stderr)}"
            )
        return Result(command, ended.returncode, stdout, stderr)

    def forward(self, port: int) -> int:
        """A port of 127.0.0.1 here that leads to that port of the machine's own loopback."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            here: int = probe.getsockname()[1]
        forward = ["-O", "forward", "-L", f"127.0.0.1:{here}:127.0.0.1:{port}"]
        self.run("true")  # the shared connection stands
        commands.run([*self._ssh(), *forward], timeout_seconds=20)
        return here

    def shell(self) -> int:
        """An interactive shell on this terminal."""
        return subprocess.run([*self._ssh(), "-t"], check=False).returncode

    def forget_connection(self) -> None:
        """Before a reboot: the next command connects anew."""
        leave = [*self._ssh(), "-O", "exit"]
        if subprocess.run(leave, capture_output=True, timeout=20, check=False).returncode:
            return  # There is no master.
        # It is answered before the master has gone, which takes its socket away when it goes.
        give_up = time.monotonic() + _GOING_SECONDS
        while self._control.exists() and time.monotonic() < give_up:
            time.sleep(0.01)

    def close(self) -> None:
        self.forget_connection()
        shutil.rmtree(self._folder)

    def _ssh(self) -> list[str]:
        options = [word for option in self.options + self._shared for word in ("-o", option)]
        return ["ssh", "-F", "none", *options, "127.0.0.1"]
