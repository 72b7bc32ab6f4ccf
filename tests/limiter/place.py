"""Real cgroups, interfaces and processes for kernel tests, removed again whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fairuse_agent.limiter.kernel.mounts import read_mounts
from fairuse_protocol.limits import (
    LimiterAnswer,
    LimiterRequest,
    LimiterState,
    decode_limiter_answer,
    encode_line,
)


def tag() -> str:
    """Six characters that no other test run uses now."""
    return os.urandom(3).hex()


def run(*command: str) -> str:
    """One command, its output; fails the test when it does."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def cgroup() -> Iterator[str]:
    """A group in every hierarchy; its path below the mounts."""
    name = f"/fairuse-lim-{tag()}"
    made = [Path(f"{root}{name}") for root in read_mounts().roots()]
    try:
        for path in made:
            path.mkdir()
        yield name
    finally:
        for path in made:
            remove_group(path)


def remove_group(path: Path) -> None:
    """Remove a group once its processes, which were ended, have left it."""
    for _ in range(50):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    path.rmdir()


def join(group: str, process: int) -> None:
    """Move a process into the group in every hierarchy."""
    for root in read_mounts().roots():
        Path(f"{root}{group}/cgroup.procs").write_text(str(process))


@contextlib.contextmanager
def child(*command: str, group: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended at the end, in `group` when one is given."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if group:
            join(group, process.pid)
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def link(address: int = 0) -> Iterator[tuple[str, str]]:
    """A namespace and the host's end of a veth pair into it, with addresses 10.213.N.1 and .2
    when a number is given."""
    name = f"fairuse-{tag()}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", name, "up")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        if address:
            run("ip", "addr", "add", f"10.213.{address}.1/24", "dev", name)
            run("ip", "-n", name, "addr", "add", f"10.213.{address}.2/24", "dev", "eth0")
        yield name, name
    finally:
        index = Path(f"/sys/class/net/{name}/ifindex")
        ifb = f"fairuse-{int(index.read_text()):x}" if index.exists() else ""
        subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        if ifb:
            subprocess.run(["ip", "link", "del", ifb], capture_output=True, check=False)


class Limiter:
    """A real limiter process, its configuration and its socket."""

    def __init__(self, directory: Path, inside: tuple[str, ...] = (), **settings: str) -> None:
        """`inside` goes before its commands: what enters a network namespace, say."""
        self.inside = inside
        self.directory = directory
        self.config = directory / "limiter.toml"
        self.socket = directory / "socket"
        self.journal = directory / "journal"
        lines = [f'socket = "{self.socket}"', f'journal = "{self.journal}"', "agent_users = []"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        self.config.write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.log = (directory / "log").open("ab")

    def start(self) -> None:
        self.process = subprocess.Popen([*self.command("run")], stderr=self.log)
        for _ in range(600):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                return
            assert self.process.poll() is None, (self.directory / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((self.directory / "log").read_text())

    def command(self, name: str, *options: str) -> tuple[str, ...]:
        program = (*self.inside, sys.executable, "-m", "fairuse_agent.limiter.main")
        return (*program, name, "--config", str(self.config), *options)

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        """End it, and let lift-all mop up whatever a failed test left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(self.command("lift-all"), capture_output=True, timeout=30, check=False)
        self.log.close()

    def ask(self, request: LimiterRequest) -> LimiterState:
        answer = self.ask_raw(encode_line(request))
        assert isinstance(answer, LimiterState), answer
        return answer

    def ask_raw(self, line: bytes) -> LimiterAnswer:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.socket))
            connection.sendall(line)
            with connection.makefile("rb") as lines:
                return decode_limiter_answer(lines.readline())


@contextlib.contextmanager
def limiter(inside: tuple[str, ...] = (), /, **settings: str) -> Iterator[Limiter]:
    """A running limiter with its own socket and journal."""
    with tempfile.TemporaryDirectory(prefix="fairuse-lim-") as directory:
        running = Limiter(Path(directory), inside, **settings)
        try:
            running.start()
            yield running
        finally:
            running.close()
