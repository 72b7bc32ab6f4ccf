"""Interface and queue counters over one raw NETLINK_ROUTE socket, decoded with `struct`.

One RTM_GETSTATS dump costs about 1 us an interface; everything that decodes whole link messages
costs 30 to 500 times that. Layouts are those of linux/if_link.h, rtnetlink.h and gen_stats.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWQDISC, _RTM_GETQDISC = 36, 38
_RTM_NEWNSID, _RTM_GETNSID = 88, 90
_RTM_NEWSTATS, _RTM_GETSTATS = 92, 94
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_ECHO, _NLM_F_DUMP = 0x01, 0x04, 0x08, 0x300
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_IFLA_STATS_LINK_64 = 1
_LINK_64_FILTER = 1 << (_IFLA_STATS_LINK_64 - 1)
_TC_H_ROOT = 0xFFFFFFFF
_IFLA_LINK_NETNSID = 37
_NETNSA_NSID, _NETNSA_PID = 1, 2
_TCA_STATS2, _TCA_STATS_QUEUE = 7, 3

_HEADER = struct.Struct("=IHHII")
_STATS_REQUEST = struct.Struct("=IHHII BxHII")
_QDISC_REQUEST = struct.Struct("=IHHII BxHiIII")
_LINK_REQUEST = struct.Struct("=IHHII BxHiII")
_NAMESPACE_REQUEST = struct.Struct("=IHHII BxxxHHI")
_LINK_STATS = struct.Struct("=IHHI4x 4xI4x 2xH 64s")
"""Length, type, flags and sequence of the header, if_stats_msg's index, the attribute's type, and
the first eight counters."""
_LINK_FIGURES = struct.Struct("=8Q")
_ATTRIBUTE = struct.Struct("=HH")
_QUEUE = struct.Struct("=IIIII")
_TCMSG_BYTES, _IFINFOMSG_BYTES, _RTGENMSG_BYTES = 20, 16, 4
_NUMBER = struct.Struct("=i")

_BUFFER_BYTES = 64 * 1024
"""The same for every receive: the kernel sizes a dump's parts by the largest buffer it saw."""
_TIMEOUT_SECONDS = 2.0
_TRIES = 3

LinkCounters = bytes
"""An interface's counters as the kernel wrote them: of most it matters only that none moved."""
NO_LINK: LinkCounters = bytes(_LINK_FIGURES.size)
"""The counters of an interface that was just made."""


class LinkFigures(NamedTuple):
    """What an interface's counters say; in and out as the interface sees it."""

    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int
    in_errors: int
    out_errors: int
    in_dropped_packets: int
    out_dropped_packets: int


def link_figures(counters: LinkCounters) -> LinkFigures:
    """The numbers in an interface's counters."""
    return LinkFigures(*_LINK_FIGURES.unpack(counters))


class QueueCounters(NamedTuple):
    """The root queue of an interface: what waits in it now, and what it held back or lost."""

    queued_bytes: int
    dropped: int
    requeued: int
    over_limit: int


class RouteSocket:
    """A kept socket to the kernel's network side, in this process's network namespace."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        # A message may be shorter than the layout that it is decoded by, the last one too.
        self._buffer = bytearray(_BUFFER_BYTES + _LINK_STATS.size)
        self._sequence = 0

    def link_counters(self) -> tuple[dict[int, LinkCounters], bool]:
        """Counters by interface index, and whether the list is known to be whole.

        Raises OSError when the kernel does not answer; the next call starts afresh.
        """
        links: dict[int, LinkCounters] = {}
        for _ in range(_TRIES):
            links = {}
            whole = self._guarded_dump(links)
            if whole:
                return links, True
        return links, False

    def root_queue(self, index: int) -> QueueCounters | None:
        """Counters of the root qdisc of the interface `index`, or None where it has none.

        Raises OSError when the kernel does not answer.
        """
        flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_ECHO
        with self._closed_on_error():
            self._sequence += 1
            answer = self._ask(
                _QDISC_REQUEST.pack(
                    36, _RTM_GETQDISC, flags, self._sequence, 0, 0, 0, index, 0, _TC_H_ROOT, 0
                ),
                _RTM_NEWQDISC,
                absent=(errno.ENOENT, errno.ENODEV),
            )
        return _queue_of(answer[_TCMSG_BYTES:]) if answer else None

    def link_namespace(self, index: int) -> int | None:
        """The number of the network namespace that holds the other end of the interface `index`;
        None where that is this namespace, or nothing. Raises OSError."""
        flags = _NLM_F_REQUEST | _NLM_F_ACK
        with self._closed_on_error():
            self._sequence += 1
            answer = self._ask(
                _LINK_REQUEST.pack(32, _RTM_GETLINK, flags, self._sequence, 0, 0, 0, index, 0, 0),
                _RTM_NEWLINK,
                absent=(errno.ENODEV,),
            )
        return _number(answer[_IFINFOMSG_BYTES:], _IFLA_LINK_NETNSID) if answer else None

    def process_namespace(self, pid: int) -> int | None:
        """The number of the process's network namespace, as `link_namespace` counts them; None
        where no interface of ours leads there, or the process is gone. Raises OSError.

        Unlike reading /proc/PID/ns/net this needs no privilege (rtnl_net_getid in the kernel).
        """
        flags = _NLM_F_REQUEST | _NLM_F_ACK
        with self._closed_on_error():
            self._sequence += 1
            answer = self._ask(
                _NAMESPACE_REQUEST.pack(
                    28, _RTM_GETNSID, flags, self._sequence, 0, 0, 8, _NETNSA_PID, pid
                ),
                _RTM_NEWNSID,
                absent=(errno.ESRCH,),
            )
        return _number(answer[_RTGENMSG_BYTES:], _NETNSA_NSID) if answer else None

    def close(self) -> None:
        """Let go of the socket; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, request: bytes, wanted: int, *, absent: tuple[int, ...]) -> bytes:
        """The body of the one message of type `wanted` that answers; the acknowledgement ends
        the answer, also an empty one."""
        connection, answer = self._connected(), b""
        connection.send(request)
        while True:
            received = connection.recv_into(self._buffer, _BUFFER_BYTES)
            length, kind, _, sequence, _ = _HEADER.unpack_from(self._buffer)
            if sequence != self._sequence:
                continue
            if kind == _NLMSG_ERROR:
                self._raise_error(16, absent=absent)
                return answer
            if kind == wanted:
                answer = bytes(self._buffer[16 : min(length, received)])

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Whatever is still under way on this socket must not be taken for the next answer."""
        try:
            yield
        except OSError:
            self.close()
            raise

    def _guarded_dump(self, links: dict[int, LinkCounters]) -> bool:
        with self._closed_on_error():
            return self._dump(links)

    def _dump(self, links: dict[int, LinkCounters]) -> bool:
        """Fill `links`; False when the list of interfaces changed under way."""
        connection, buffer = self._connected(), self._buffer
        self._sequence += 1
        connection.send(
            _STATS_REQUEST.pack(
                28, _RTM_GETSTATS, _NLM_F_REQUEST | _NLM_F_DUMP, self._sequence, 0, 0, 0, 0,
                _LINK_64_FILTER,
            )
        )  # fmt: skip
        whole, unpack, size = True, _LINK_STATS.unpack_from, _LINK_STATS.size
        while True:
            received, offset = connection.recv_into(buffer, _BUFFER_BYTES), 0
            while offset + 16 <= received:
                length, kind, flags, sequence, index, attribute, counters = unpack(buffer, offset)
                if not 16 <= length <= received - offset:
                    raise OSError(errno.EBADMSG, "netlink message of an impossible length")
                if flags & _NLM_F_DUMP_INTR:
                    whole = False
                if kind == _RTM_NEWSTATS and length >= size:
                    if attribute == _IFLA_STATS_LINK_64:
                        links[index] = counters
                elif sequence != self._sequence:
                    pass
                elif kind == _NLMSG_DONE:
                    return whole
                elif kind == _NLMSG_ERROR:
                    self._raise_error(offset + 16, absent=())
                offset += (length + 3) & ~3

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._socket.settimeout(_TIMEOUT_SECONDS)
            self._socket.bind((0, 0))
        return self._socket

    def _raise_error(self, offset: int, *, absent: tuple[int, ...]) -> None:
        (code,) = struct.unpack_from("=i", self._buffer, offset)
        if code and -code not in absent:
            raise OSError(-code, os.strerror(-code))


def _attributes(data: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _queue_of(attributes: bytes) -> QueueCounters | None:
    statistics = _attributes(attributes).get(_TCA_STATS2)
    queue = _attributes(statistics).get(_TCA_STATS_QUEUE) if statistics else None
    if queue is None or len(queue) < _QUEUE.size:
        return None
    _, backlog, dropped, requeued, over_limit = _QUEUE.unpack_from(queue)
    return QueueCounters(backlog, dropped, requeued, over_limit)


def _number(attributes: bytes, kind: int) -> int | None:
    """A namespace's number; the kernel says -1 where it has none."""
    value = _attributes(attributes).get(kind)
    if value is None or len(value) < _NUMBER.size:
        return None
    (number,) = _NUMBER.unpack_from(value)
    return number if number >= 0 else None
