"""Answers of the kernel's network side that a kernel is not known to give."""

from __future__ import annotations

import errno
import struct

import pytest

from fairuse_agent.sampling import netlink
from fairuse_agent.sampling.netlink import RouteSocket

NOOP, NEWSTATS = 1, 92


def header(length: int, kind: int, sequence: int) -> bytes:
    return struct.pack("=IHHII", length, kind, 0, sequence, 0)


class CutShort:
    """A socket whose answer is as long as the buffer; its last message goes on behind that."""

    def __init__(self) -> None:
        self._sequence = 0

    def send(self, request: bytes) -> None:
        self._sequence = struct.unpack_from("=8xI", request)[0]

    def recv_into(self, buffer: bytearray, size: int) -> int:
        start = size - 32
        buffer[:16] = header(start, NOOP, 0)
        buffer[start : start + 16] = header(96, NEWSTATS, self._sequence)
        buffer[start + 16 : size] = struct.pack("=B3xII HH", 0, 7, 1, 68, 1)
        return size

    def close(self) -> None:
        """Nothing is held."""


def test_a_message_that_is_cut_short_is_an_error_and_no_zeros(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(netlink, "_TRIES", 1)
    route = RouteSocket()
    monkeypatch.setattr(route, "_connected", CutShort)
    with pytest.raises(OSError, match="impossible length") as raised:
        route.link_counters()
    assert raised.value.errno == errno.EBADMSG
