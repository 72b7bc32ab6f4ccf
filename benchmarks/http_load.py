"""A lean HTTP/1.1 load: keep-alive connections that each wait for an answer before they go on.

It writes requests that were encoded beforehand and looks at little more than the status line, so
that one core of it can saturate a server on another core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial


@dataclass
class Load:
    """What a run of load saw."""

    answered: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def latency(self, share: float) -> float:
        """The latency, in seconds, that this share of the answers kept within."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], load: Load, deadline: float) -> None:
        self._requests = requests
        self._load = load
        self._deadline = deadline
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end]
        length_at = head.index(b"Content-Length: ") + 16
        length_end = head.find(b"\r\n", length_at)
        length = int(head[length_at : length_end if length_end > 0 else len(head)])
        if len(self._buffer) < head_end + 4 + length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self._buffer.decode(errors="replace")))
            return
        self._buffer = b""
        self._load.answered += 1
        self._load.latencies.append(time.perf_counter() - self._sent_at)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None) if time.perf_counter() < self._deadline else None
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def run_load(
    port: int, seconds: float, connections: int, requests_of: Callable[[int], Iterator[bytes]]
) -> Load:
    """Send each connection's requests, one at a time, for that long."""
    load = Load()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        await loop.create_connection(
            partial(_Connection, requests_of(index), load, started + seconds),
            "127.0.0.1",
            port,
        )
        for index in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    load.seconds = time.perf_counter() - started
    return load
