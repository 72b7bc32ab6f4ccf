"""A system bus with systemd's IP accounting on it, in this process, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from jeepney import HeaderFields, Message, MessageType, Parser, new_error, new_method_return

OFF = 2**64 - 1
UNIT = "/org/freedesktop/systemd1/unit/"


class Bus:
    """`units` has the four counters of each unit, by the name that stands in its object's path."""

    def __init__(self) -> None:
        self.units: dict[str, dict[str, int]] = {}
        self.silent = False
        self.connections = 0
        self.most_under_way = 0
        self.talks: list[asyncio.Task[None]] = []

    def unit(self, label: str, received: int, sent: int) -> None:
        """Bytes; a packet of a thousand each."""
        self.units[label] = {
            "IPIngressBytes": received,
            "IPEgressBytes": sent,
            "IPIngressPackets": received if received == OFF else received // 1000,
            "IPEgressPackets": sent if sent == OFF else sent // 1000,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.talks.append(asyncio.current_task())  # type: ignore[arg-type] # it runs in one
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        assert line.lstrip(b"\0").startswith(b"AUTH EXTERNAL")
        writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
        assert await reader.readline() == b"BEGIN\r\n"
        parser, serial = Parser(), 0
        while data := await reader.read(2**16):
            parser.add_data(data)
            asked = []
            while (message := parser.get_next_message()) is not None:
                asked.append(message)
            self.most_under_way = max(self.most_under_way, len(asked))
            if self.silent:
                continue
            for message in asked:
                serial += 1
                writer.write(self._answer(message).serialise(serial))

    def _answer(self, message: Message) -> Message:
        fields = message.header.fields
        assert message.header.message_type is MessageType.method_call
        if fields[HeaderFields.member] == "Hello":
            return new_method_return(message, "s", (":1.7",))
        assert fields[HeaderFields.destination] == "org.freedesktop.systemd1"
        interface, name = message.body
        label = fields[HeaderFields.path].removeprefix(UNIT)
        assert interface.rpartition(".")[2].lower() in label
        if label not in self.units:
            error = "org.freedesktop.DBus.Error.UnknownObject"
            return new_error(message, error, "s", (f"no unit {label}",))
        return new_method_return(message, "v", (("t", self.units[label][name]),))


@contextlib.asynccontextmanager
async def bus(folder: Path) -> AsyncIterator[tuple[Bus, Path]]:
    """A bus on a socket in this folder."""
    made, socket = Bus(), folder / "bus"
    server = await asyncio.start_unix_server(made.serve, socket)
    async with server:
        yield made, socket
        await asyncio.gather(*made.talks)
