"""The limiter's local socket: one JSON line a message, from root or the agent's user only."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import socket
import stat
import struct
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

from fairuse_protocol.limits import (
    MAX_LOCAL_MESSAGE_BYTES,
    LimiterAnswer,
    LimiterError,
    LimiterRequest,
    decode_limiter_request,
    encode_line,
)
from fairuse_protocol.messages import PROTOCOL_VERSION, MessageError

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
"""At a time and user. Root has no such bound: whoever else is connected, it can lift everything."""
ROOT = 0
_PEER_CREDENTIALS = struct.Struct("3i")

Handle = Callable[[LimiterRequest], Awaitable[LimiterAnswer]]


def allowed_users(names: tuple[str, ...]) -> dict[int, int]:
    """User id to primary group of those who may speak; names that do not exist are logged."""
    found = {0: 0}
    for name in names:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            log.warning("agent_users: this host has no user %s; root may still speak", name)
        else:
            found[user.pw_uid] = user.pw_gid
    return found


class LimiterServer:
    """Listens, checks who speaks, decodes, hands on, answers."""

    def __init__(self, path: Path, users: dict[int, int], handle: Handle) -> None:
        self._path = path
        self._users = users
        self._handle = handle
        self._idle: dict[int, dict[asyncio.StreamWriter, None]] = defaultdict(dict)
        self._connections: Counter[int] = Counter()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Open the socket. Its group is the agent's, so that others cannot even connect."""
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self._path.exists():
            if not stat.S_ISSOCK(self._path.stat().st_mode):
                raise FileExistsError(f"{self._path}: expected a socket or nothing, found a file")
            self._path.unlink()  # a killed limiter left it; the journal's lock says it is dead
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, path=self._path, limit=MAX_LOCAL_MESSAGE_BYTES
            )
        finally:
            os.umask(before)
        groups = [group for user, group in self._users.items() if user != 0]
        if groups:
            os.chown(self._path, 0, groups[0])
            self._path.chmod(0o660)

    async def stop(self) -> None:
        """Close the socket and remove it."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process, user = _peer_of(writer.get_extra_info("socket"))
        self._connections[user] += 1
        try:
            refusal = self._refusal(process, user)
            if refusal is not None:
                log.warning("%s", refusal)
                await _answer(writer, LimiterError(reason=refusal))
                return
            await self._converse(reader, writer, self._idle[user])
        except ConnectionError:
            log.info("a connection was cut by the other side")
        finally:
            self._connections[user] -= 1
            writer.close()

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        idle: dict[asyncio.StreamWriter, None],
    ) -> None:
        while True:
            idle[writer] = None
            try:
                line = await reader.readline()
            except ValueError:
                reason = f"a message is one line of at most {MAX_LOCAL_MESSAGE_BYTES} bytes"
                await _answer(writer, LimiterError(reason=reason))
                return
            finally:
                idle.pop(writer, None)
            if not line.endswith(b"\n"):
                return  # the other side is done, or died in the middle of a message
            await _answer(writer, await self._answer_to(line))

    async def _answer_to(self, line: bytes) -> LimiterAnswer:
        try:
            request = decode_limiter_request(line)
        except MessageError as error:
            return LimiterError(reason=str(error))
        if request.protocol != PROTOCOL_VERSION:
            return LimiterError(
                reason=f"protocol: expected {PROTOCOL_VERSION}, found {request.protocol}"
            )
        return await self._handle(request)

    def _refusal(self, process: int, user: int) -> str | None:
        """Why this connection is not served. One too many takes the place of the same user's
        that has been idle for longest."""
        if user not in self._users:
            return f"user id {user} (process {process}) is not one of agent_users in limiter.toml"
        if user == ROOT or self._connections[user] <= MAX_CONNECTIONS:
            return None
        idle = self._idle[user]
        if not idle:
            return f"expected at most {MAX_CONNECTIONS} connections at a time"
        longest = next(iter(idle))
        del idle[longest]
        longest.close()
        log.warning("user id %d has too many connections: its longest idle one was closed", user)
        return None


def _peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process and user id of the other side, as they were when it connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    process, user, _ = _PEER_CREDENTIALS.unpack(raw)
    return process, user


async def _answer(writer: asyncio.StreamWriter, answer: LimiterAnswer) -> None:
    writer.write(encode_line(answer))
    await writer.drain()
