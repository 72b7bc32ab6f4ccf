"""Traffic on the test host, as a program of its own: `python3 traffic.py ROLE ...`.

    server ADDRESS                        port 9001 takes what comes, 9002 sends what is asked for
    send NAME ADDRESS BYTES RATE          to a server; 0 bytes is for ever
    receive NAME ADDRESS BYTES RATE       from a server

Each flow is counted where it arrives: "MONOTONIC-SECONDS TOTAL" lines in /run/traffic/NAME, and
the last line is the whole of it.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

_SO_MAX_PACING_RATE = 47
_CHUNK = 16384


def count(connection: socket.socket, name: str) -> None:
    total, told_at = 0, 0.0
    with Path("/run/traffic", name).open("w") as tally:
        while data := connection.recv(8 * _CHUNK):
            total += len(data)
            if time.monotonic() - told_at >= 0.2:
                told_at = time.monotonic()
                tally.write(f"{told_at} {total}\n")
                tally.flush()
        tally.write(f"{time.monotonic()} {total}\n")


def pour(connection: socket.socket, count_bytes: int, rate: int) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * _CHUNK)
    connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, rate)
    left = count_bytes or sys.maxsize
    while left:
        part = min(left, _CHUNK)
        connection.sendall(bytes(part))
        left -= part


def line(connection: socket.socket) -> list[str]:
    """One line of words, byte by byte: what follows is not to be read with it."""
    found = b""
    while not found.endswith(b"\n"):
        found += connection.recv(1)
    return found.decode().split()


def serve(address: str, port: int) -> None:
    with socket.create_server((address, port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=handle, args=(connection, port), daemon=True).start()


def handle(connection: socket.socket, port: int) -> None:
    with connection:
        words = line(connection)
        if port == 9001:
            count(connection, words[0])
        else:
            pour(connection, int(words[0]), int(words[1]))


def main(role: str, *words: str) -> None:
    if role == "server":
        threading.Thread(target=serve, args=(words[0], 9002), daemon=True).start()
        serve(words[0], 9001)
    name, address, total, rate = words
    with socket.create_connection((address, 9001 if role == "send" else 9002)) as connection:
        if role == "send":
            connection.sendall(f"{name}\n".encode())
            pour(connection, int(total), int(rate))
        else:
            connection.sendall(f"{total} {rate}\n".encode())
            count(connection, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
