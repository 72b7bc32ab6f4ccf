"""The way to the limiter: one request, one answer, over its local socket.

Each request makes its own connection: it costs microseconds, and a limiter that was restarted
needs no special case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from fairuse_protocol.limits import (
    MAX_LOCAL_MESSAGE_BYTES,
    GetState,
    LimiterRequest,
    LimiterState,
    SetLimits,
    decode_limiter_answer,
    encode_line,
)
from fairuse_protocol.messages import MessageError

_TIMEOUT_SECONDS = 35.0
"""The limiter may first measure a tenant itself, for its setting `proof`: 30 s at most."""

_log = logging.getLogger(__name__)


class LimiterUnavailableError(Exception):
    """The limiter did not answer as it should. The text says how."""


class LimiterClient:
    """Asks the limiter behind one socket."""

    def __init__(self, socket: Path, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._socket = socket
        self._timeout_seconds = timeout_seconds

    async def ask(self, request: LimiterRequest) -> LimiterState:
        """The limiter's state after `request`, or raise LimiterUnavailableError."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = decode_limiter_answer(await self._exchange(encode_line(request)))
        except TimeoutError as error:
            raise LimiterUnavailableError(
                f"{self._socket}: no answer within {self._timeout_seconds:g} s"
            ) from error
        except (OSError, ValueError) as error:  # MessageError is a ValueError, so is a long line
            raise LimiterUnavailableError(f"{self._socket}: {error}") from error
        if not isinstance(answer, LimiterState):
            raise LimiterUnavailableError(f"{self._socket}: it refused: {answer.reason}")
        return answer

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(
            self._socket, limit=MAX_LOCAL_MESSAGE_BYTES
        )
        try:
            writer.write(line)
            await writer.drain()
            answer = await reader.readline()
        finally:
            writer.close()
        if not answer.endswith(b"\n"):
            raise MessageError("expected a line of JSON, found the end of the connection")
        return answer


class LimiterWatch:
    """Keeps the limiter told, and knows what it said last."""

    def __init__(self, client: LimiterClient) -> None:
        self._client = client
        self.state: LimiterState | None = None
        """What it holds now; None while it does not answer."""
        self.trouble = ""
        """Why it does not answer, for a person; empty when it does."""

    async def tell(self, request: SetLimits | None) -> None:
        """Hand over the orders, or only ask when there are none to hand over yet."""
        try:
            self.state = await self._client.ask(GetState() if request is None else request)
        except LimiterUnavailableError as error:
            if self.trouble != str(error):
                _log.warning("no limiter, observing only: %s", error)
            self.state, self.trouble = None, str(error)
            return
        if self.trouble:
            _log.info("the limiter answers again")
        self.trouble = ""

    async def run(
        self,
        make_request: Callable[[], SetLimits | None],
        changed: asyncio.Event,
        *,
        interval_seconds: float,
    ) -> None:
        """Tell it at once when `changed`, and again every interval, until cancelled: it has to
        see the controller's silence grow, and a restarted one needs the orders that stand."""
        while True:
            changed.clear()
            await self.tell(make_request())
            try:
                async with asyncio.timeout(interval_seconds):
                    await changed.wait()
            except TimeoutError:
                continue  # nothing new within the interval: tell it again
