"""A host in a network namespace, whose default route leads by a veth pair to a server in another.

Code runs in the host's namespace in a thread that entered it: a network namespace is a thread's.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fairuse_agent.limiter.targets import Targets
from tests.limiter.place import run, tag

Result = TypeVar("Result")

_CLONE_NEWNET = 0x40000000
UPLINK = "up0"


@dataclass(frozen=True)
class Uplink:
    """`host` and `server` are namespaces."""

    host: str
    server: str

    def enter(self, namespace: str) -> tuple[str, ...]:
        """What to put before a command. Not `ip netns exec`, which hides the cgroups."""
        return ("nsenter", f"--net=/run/netns/{namespace}")

    def run(self, *command: str) -> str:
        """One command on the host."""
        return run(*self.enter(self.host), *command)

    def inside(self, work: Callable[[], Result]) -> Result:
        """Do this on the host."""

        def entered() -> Result:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/run/netns/{self.host}").open() as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "the namespace cannot be entered")
            return work()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(entered).result()

    def listing(self) -> str:
        """All that a limit may change there, as it stands."""
        return self.run("tc", "qdisc", "show") + self.run("nft", "list", "ruleset")


@contextlib.contextmanager
def uplink(queues: int = 1) -> Iterator[Uplink]:
    """Two namespaces of our own: 10.214.0.1 and .3 are the host, .2 and .4 the server."""
    name = tag()
    made = Uplink(f"fairuse-h{name}", f"fairuse-s{name}")
    try:
        for namespace in (made.host, made.server):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        many = ("numtxqueues", str(queues), "numrxqueues", str(queues))
        peer = ("type", "veth", "peer", "name", "eth0", "netns", made.server)
        run("ip", "-n", made.host, "link", "add", UPLINK, *many, *peer)
        for namespace, interface, end in ((made.host, UPLINK, 1), (made.server, "eth0", 2)):
            run("ip", "-n", namespace, "addr", "add", f"10.214.0.{end}/24", "dev", interface)
            run("ip", "-n", namespace, "link", "set", interface, "up")
            run("ip", "-n", namespace, "addr", "add", f"10.214.0.{end + 2}/24", "dev", interface)
        run("ip", "-n", made.host, "route", "add", "default", "via", "10.214.0.2")
        yield made
    finally:
        for namespace in (made.host, made.server):
            run("ip", "netns", "del", namespace)


def targets(directory: Path, interfaces: tuple[str, ...] = ("*",)) -> Targets:
    """Targets that see the routes of the thread's namespace, which /proc/self does not tell."""
    (directory / "self").mkdir(exist_ok=True)
    (directory / "self/cgroup").write_text(Path("/proc/self/cgroup").read_text())
    net = directory / "net"
    if not net.is_symlink():
        net.symlink_to("/proc/thread-self/net")
    return Targets(interfaces=interfaces, proc=directory)
