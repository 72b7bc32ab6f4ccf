"""What the sockets of systemd's units moved, from systemd's own IP accounting over D-Bus.

systemd counts with a BPF program at the unit's cgroup, so a slice's figures are those of all that
runs in it. Anybody may read them. They are packets as sockets see them: with IP's header, without
Ethernet's, those that the kernel merged as one; and loopback is counted like any other interface.

The bus is asked before a round, many questions under way at a time, and for a bounded time.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from string import ascii_letters, digits
from typing import NamedTuple

from jeepney import DBusAddress, HeaderFields, MessageType, Properties, message_bus
from jeepney.auth import BEGIN, AuthenticationError, Authenticator
from jeepney.io.asyncio import DBusConnection

_PROPERTIES = ("IPIngressBytes", "IPEgressBytes", "IPIngressPackets", "IPEgressPackets")
_INTERFACES = {".slice": "Slice", ".service": "Service", ".scope": "Scope"}
_SWITCHED_OFF = 2**64 - 1
"""What systemd says while a unit has no accounting (CGROUP_LIMIT_MAX)."""

_BUS = Path("/run/dbus/system_bus_socket")
_AUTHENTICATION_BYTES = 1024
_UNDER_WAY = 64
"""dbus-daemon lets a connection wait for 128 answers (max_replies_per_connection)."""
_LONGEST_SECONDS = 1.0
_REST_SECONDS = 30.0
"""How long a bus that did not answer in time is left alone."""
_LETTERS, _DIGITS = ascii_letters.encode(), digits.encode()
_SERIAL_AT = 8
"""The place of a message's number in its header (D-Bus specification, message format)."""


class IpCounters(NamedTuple):
    """Totals of one unit since it started, as its own sockets see the directions."""

    in_bytes: int = 0
    out_bytes: int = 0
    in_packets: int = 0
    out_packets: int = 0


class IpAccounting:
    """A kept connection to the bus that systemd is on."""

    def __init__(self, bus: Path = _BUS) -> None:
        """`bus` is the socket of the system bus."""
        self._bus = bus
        self._connection: DBusConnection | None = None
        self._requests: dict[str, tuple[bytearray, ...]] = {}
        self._serial = 0
        self._rests_until = 0.0
        self.trouble = ""
        """Why the last reading failed; empty when it did not."""

    async def read(self, cgroups: Iterable[str]) -> Mapping[str, IpCounters | None] | None:
        """The counters by cgroup; None for one whose accounting is off, nothing for one whose unit
        is not there. None instead of all: the bus did not answer, `trouble` says why."""
        units = {cgroup: unit for cgroup in cgroups if (unit := unit_of(cgroup))}
        if not units:
            self.trouble = ""
            return {}
        now = asyncio.get_running_loop().time()
        if now < self._rests_until:
            return None
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                found = await self._ask(units)
        except (OSError, EOFError, AuthenticationError, TimeoutError) as error:
            self.trouble = str(error) or f"no answer within {_LONGEST_SECONDS} s"
            self._rests_until = now + _REST_SECONDS
            self.close()
            return None
        self.trouble = ""
        return found

    def close(self) -> None:
        """Let go of the connection; the next reading opens another."""
        if self._connection is not None:
            self._connection.writer.close()
            self._connection = None

    async def _ask(self, units: Mapping[str, str]) -> dict[str, IpCounters | None]:
        connection = self._connection
        if connection is None:
            connection = self._connection = await self._connect()
        self._requests = {
            unit: self._requests.get(unit) or _requests(unit) for unit in units.values()
        }
        figures: dict[str, list[int]] = {cgroup: [-1] * len(_PROPERTIES) for cgroup in units}
        questions = self._questions(units)
        under_way: dict[int, tuple[str, int]] = {}
        while True:
            if len(under_way) <= _UNDER_WAY // 2:
                batch = list(islice(questions, _UNDER_WAY - len(under_way)))
                connection.writer.write(b"".join(request for request, _, _ in batch))
                under_way |= {serial: asked for _, serial, asked in batch}
            if not under_way:
                return {cgroup: _counters(found) for cgroup, found in figures.items() if found}
            message = await connection.receive()
            asked = under_way.pop(message.header.fields.get(HeaderFields.reply_serial), None)
            if asked is None:
                continue
            cgroup, place = asked
            if message.header.message_type is not MessageType.method_return:
                figures[cgroup] = []
            elif figures[cgroup]:
                figures[cgroup][place] = message.body[0][1]

    async def _connect(self) -> DBusConnection:
        reader, writer = await asyncio.open_unix_connection(self._bus)
        try:
            authenticator = Authenticator()
            for line in authenticator:
                writer.write(line)
                answer = await reader.read(_AUTHENTICATION_BYTES)
                if not answer:
                    raise EOFError("the bus hung up")
                authenticator.feed(answer)
            self._serial = 1
            writer.write(BEGIN + message_bus.Hello().serialise(self._serial))
        except BaseException:
            writer.close()
            raise
        return DBusConnection(reader, writer)

    def _questions(self, units: Mapping[str, str]) -> Iterator[tuple[bytes, int, tuple[str, int]]]:
        """Every message, its number, and the cgroup and the place that its answer is for."""
        for cgroup, unit in units.items():
            for place, request in enumerate(self._requests[unit]):
                self._serial = self._serial % 0x7FFFFFFF + 1
                struct.pack_into("<I", request, _SERIAL_AT, self._serial)
                yield bytes(request), self._serial, (cgroup, place)


def unit_of(cgroup: str) -> str:
    """The unit of the host's systemd that this group is, or nothing. Below a service or scope
    it is not the host's systemd that rules."""
    *slices, unit = cgroup.strip("/").split("/")
    if all(name.endswith(".slice") for name in slices) and unit.endswith(tuple(_INTERFACES)):
        return unit
    return ""


def _requests(unit: str) -> tuple[bytearray, ...]:
    """The questions for one unit, ready but for their numbers."""
    kind = unit[unit.rindex(".") :]
    address = DBusAddress(
        f"/org/freedesktop/systemd1/unit/{_label(unit)}",
        bus_name="org.freedesktop.systemd1",
        interface=f"org.freedesktop.systemd1.{_INTERFACES[kind]}",
    )
    properties = Properties(address)
    return tuple(bytearray(properties.get(name).serialise(1)) for name in _PROPERTIES)


def _label(unit: str) -> str:
    """The unit's name as a part of an object's path (sd_bus_path_encode(3))."""
    return "".join(
        chr(byte) if byte in _LETTERS or (place and byte in _DIGITS) else f"_{byte:02x}"
        for place, byte in enumerate(unit.encode())
    )


def _counters(figures: list[int]) -> IpCounters | None:
    return None if _SWITCHED_OFF in figures else IpCounters(*figures)
