"""Work that a tenant does, as a program of its own: `python work.py KIND ...`.

Those that move data write "MONOTONIC-SECONDS TOTAL" lines to a file four times a second, so that
a test can see from outside how much went through in any stretch of time.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

CHUNK = 65536
_SO_MAX_PACING_RATE = 47


class Tally:
    """The running total in the file."""

    def __init__(self, path: str) -> None:
        self.file = Path(path)
        self.total = 0
        self.told_at = 0.0

    def add(self, count: int) -> None:
        self.total += count
        now = time.monotonic()
        if now - self.told_at >= 0.25:
            self.told_at = now
            with self.file.open("a") as file:
                file.write(f"{now} {self.total}\n")


def sink(address: str, tally: str) -> None:
    with socket.create_server((address, 9000)) as server:
        connection, _ = server.accept()
        count = Tally(tally)
        while data := connection.recv(4 * CHUNK):
            count.add(len(data))


def source(address: str, most: str = "") -> None:
    """`most` bytes per second, so that a test need not load the machine with gigabits."""
    data = bytes(CHUNK)
    for _ in range(100):
        connection = socket.socket()
        # Bounds what is under way when a limit begins: after gigabits, TCP would otherwise spend
        # the whole measurement on what the new queue had to drop.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * CHUNK)
        if most:
            connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, int(most))
        try:
            connection.connect((address, 9000))
        except OSError:
            connection.close()
            time.sleep(0.05)
        else:
            while True:
                connection.sendall(data)


def burn() -> None:
    while True:
        pass


def disk(path: str, tally: str) -> None:
    """Read and write in turn, past the page cache, within 32 MiB."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    block = mmap.mmap(-1, CHUNK)
    count = Tally(tally)
    for number in range(512):
        os.pwritev(file, [block], number * CHUNK)
    number = 0
    while True:
        position = number % 512 * CHUNK
        count.add(os.pwritev(file, [block], position))
        count.add(os.preadv(file, [block], position))
        number += 1


if __name__ == "__main__":
    work: dict[str, Callable[..., None]] = {
        "sink": sink,
        "source": source,
        "burn": burn,
        "disk": disk,
    }
    work[sys.argv[1]](*sys.argv[2:])
