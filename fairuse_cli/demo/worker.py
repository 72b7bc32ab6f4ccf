"""What runs inside a tenant, or at the far end of the uplink: a load that obeys commands.

Started by `workers.py` as a process of its own. It joins its cgroups and its network namespace,
gives up root, and then reads commands from standard input, one JSON object a line; it ends when
that closes, so it never outlives the demo. Only the standard library, and little of it: it has to
start fast and stay small.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SINK_PORT = 9001
SOURCE_PORT = 9002
PERIOD_SECONDS = 0.1
"""A steady CPU load asks for its part of every such period."""
_HASHED_BYTES = bytes(128 * 1024)
"""Hashing this much takes well under a millisecond and lets other threads run meanwhile."""
_CHUNK = memoryview(bytes(64 * 1024))
_PACE_SECONDS = 0.02
_PATIENCE_SECONDS = 5.0
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


class Stop(threading.Event):
    """Tells the threads of one load that another load has been asked for."""


def burn(stop: Stop, share: float) -> None:
    """Ask for `share` of a core, for as long as it takes to get it in every period."""
    while not stop.is_set():
        period_ends = time.monotonic() + PERIOD_SECONDS
        enough = time.thread_time() + share * PERIOD_SECONDS
        while time.thread_time() < enough and not stop.is_set():
            hashlib.sha256(_HASHED_BYTES).digest()
        if share < 1:
            time.sleep(max(0.0, period_ends - time.monotonic()))


def send(stop: Stop, peer: str, bytes_per_second: float | None) -> None:
    """Send to the sink at this rate, or as fast as it goes (None)."""
    with _connected(peer, SINK_PORT) as link:
        _send_paced(link, bytes_per_second, stop.is_set)


def fetch(stop: Stop, peer: str, bytes_per_second: float | None) -> None:
    """Have the source send at this rate, or as fast as it goes (None)."""
    with _connected(peer, SOURCE_PORT) as link:
        link.sendall(json.dumps({"bytes_per_second": bytes_per_second}).encode() + b"\n")
        while not stop.is_set():
            with suppress(TimeoutError):
                if not link.recv(len(_CHUNK)):
                    return


def _connected(peer: str, port: int) -> socket.socket:
    """Connect, with patience: the far end may still be starting.

    Not by create_connection, which loads a codec: this user may not be able to read Python's
    library any more.
    """
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        link = socket.socket()
        link.settimeout(1.0)
        try:
            link.connect((peer, port))
        except OSError:
            link.close()
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
        else:
            link.settimeout(0.5)
            return link


def _send_paced(
    link: socket.socket, bytes_per_second: float | None, done: Callable[[], bool]
) -> None:
    """Send until `done`; a time-out of the socket only means that the way is full."""
    while not done():
        began = time.monotonic()
        unsent = len(_CHUNK) if bytes_per_second is None else bytes_per_second * _PACE_SECONDS
        while unsent >= 1 and not done():
            with suppress(TimeoutError):
                unsent -= link.send(_CHUNK[: int(unsent)])
        if bytes_per_second is not None:
            time.sleep(max(0.0, began + _PACE_SECONDS - time.monotonic()))


class FarEnd:
    """The world: takes what tenants send and counts it by their address, sends what they ask."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()

    def serve(self) -> None:
        """Listen on both ports."""
        for port, handle in ((SINK_PORT, self._sink), (SOURCE_PORT, self._source)):
            listener = socket.create_server(("", port), backlog=64)
            _start(self._accept, listener, handle)

    def _accept(
        self, listener: socket.socket, handle: Callable[[socket.socket, str], None]
    ) -> None:
        while True:
            link, (address, _) = listener.accept()
            _start(self._handle, link, address, handle)

    def _handle(
        self, link: socket.socket, address: str, handle: Callable[[socket.socket, str], None]
    ) -> None:
        with link, suppress(ConnectionError):  # a tenant that stops its load just hangs up
            handle(link, address)

    def _sink(self, link: socket.socket, address: str) -> None:
        buffer = bytearray(len(_CHUNK))
        while count := link.recv_into(buffer):
            self.received[address] += count

    def _source(self, link: socket.socket, address: str) -> None:
        del address
        order = json.loads(link.makefile("rb").readline() or b"{}")
        link.settimeout(0.5)
        _send_paced(link, order.get("bytes_per_second"), lambda: False)


class Tenant:
    """Holds the load that was last asked for."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._stop = Stop()
        self._threads: list[threading.Thread] = []

    def load(self, command: dict[str, list[float | None]]) -> None:
        """Replace the load: `cpu` lists shares of a core, `send` and `fetch` rates."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_PATIENCE_SECONDS)
        self._stop = stop = Stop()
        self._threads = [
            *(_start(burn, stop, share) for share in command.get("cpu", ())),
            *(_start(send, stop, self._peer, rate) for rate in command.get("send", ())),
            *(_start(fetch, stop, self._peer, rate) for rate in command.get("fetch", ())),
        ]


def _start(function: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _settle(cgroups: list[str], namespace: str, user: int, parent: int) -> None:
    """Join cgroups and namespace, give up root, and end when the demo ends."""
    for cgroup in cgroups:
        (Path(cgroup) / "cgroup.procs").write_text(str(os.getpid()))
    if namespace:
        with Path(namespace).open() as handle:
            _check(_libc.setns(handle.fileno(), _CLONE_NEWNET), f"setns({namespace})")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # After the change of user, which clears it.
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the demo ended while this worker started")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def main() -> None:
    """Settle, say "ready", obey until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cgroup", action="append", default=[])
    parser.add_argument("--namespace", default="")
    parser.add_argument("--user", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--peer", default="", help="where the far end is; empty: be the far end")
    options = parser.parse_args()
    _settle(options.cgroup, options.namespace, options.user, options.parent)
    tenant, far_end = Tenant(options.peer), FarEnd()
    if not options.peer:
        far_end.serve()
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if options.peer:
            tenant.load(command)
        print(json.dumps(far_end.received), flush=True)


if __name__ == "__main__":
    main()
