"""Notices by a program of the provider's: whatever mail and webhooks are not.

It is run once for each try, without a shell, and gets the notice on its standard input: the JSON
that a webhook gets, whose `data.notice` is the same whenever it is sent again. What its exit status
says:

    0     accepted; the first line of its output is the answer that is kept
    75    try again later (EX_TEMPFAIL of sysexits.h)
    else  refused for good

A program that could not be started, was ended by a signal, or took too long is tried again: that
says nothing about the notice. At its time limit it is killed with everything it has started; what
it leaves running when it ends is killed too.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from controller.contact.delivery import Accepted, Outcome, Refused, one_line
from controller.contact.notice import RenderedNotice
from controller.contact.webhook import payload
from controller.settings import Command
from controller.tenants import TenantContact

_TRY_AGAIN = 75
_OUTPUT_BYTES = 4096
"""Kept of each of its outputs. It may write more, which is read and thrown away."""
_LAST_WORDS_SECONDS = 1.0
"""After its end: what got away from its group may hold its outputs open for ever."""


class CommandChannel:
    """The program of `contact.command`."""

    name = "command"

    def __init__(self, settings: Command) -> None:
        self._settings = settings

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        """Run it once."""
        if not self._settings.argv:
            return self._refused("no command is set in contact.command", for_good=True)
        try:
            transport, conversation = await asyncio.get_running_loop().subprocess_exec(
                _Conversation, *self._settings.argv, start_new_session=True
            )
        except OSError as error:
            return self._refused(f"{self._settings.argv[0]} cannot be run: {error}", for_good=False)
        try:
            async with asyncio.timeout(self._settings.timeout):
                _tell(transport, payload(notice))
                await conversation.ended.wait()
        except TimeoutError:
            return self._refused(
                f"{self._settings.argv[0]} was killed: it took longer than "
                f"contact.command.timeout ({self._settings.timeout})",
                for_good=False,
            )
        finally:
            await _end(transport, conversation)
        return self._outcome(transport.get_returncode(), conversation.said(1), conversation.said(2))

    async def close(self) -> None:
        """Nothing runs between notices."""

    def _outcome(self, status: int | None, said: str, complained: str) -> Outcome:
        first_line = one_line(said.strip().partition("\n")[0])
        if status == 0:
            return Accepted(self.name, first_line or "exit 0")
        words = one_line(complained) or first_line
        if status is None or status < 0:
            return self._refused(f"ended by signal {-(status or 0)}: {words}", for_good=False)
        return self._refused(f"exit {status}: {words}", for_good=status != _TRY_AGAIN)

    def _refused(self, reason: str, *, for_good: bool) -> Refused:
        return Refused(self.name, one_line(reason), for_good)


class _Conversation(asyncio.SubprocessProtocol):
    """What it says, and when it has ended: which the streams of asyncio tell only once nobody holds
    its outputs any more, and what it started may hold them for ever."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self._outputs = {1: bytearray(), 2: bytearray()}

    def said(self, descriptor: int) -> str:
        """Its standard output (1) or error output (2)."""
        return self._outputs[descriptor].decode("utf-8", "replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep the beginning."""
        kept = self._outputs[fd]
        kept += data[: _OUTPUT_BYTES - len(kept)]

    def process_exited(self) -> None:
        """The program itself, whatever it started."""
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, and so have its outputs."""
        self.closed.set()


def _tell(transport: asyncio.SubprocessTransport, text: bytes) -> None:
    """Give it the notice. One that does not read it can accept it all the same."""
    stdin = transport.get_pipe_transport(0)
    if isinstance(stdin, asyncio.WriteTransport):
        stdin.write(text)
        stdin.write_eof()


async def _end(transport: asyncio.SubprocessTransport, conversation: _Conversation) -> None:
    """Kill what is left of it, and hear its last words. It leads its own session, so that its group
    is what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    await conversation.ended.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            await conversation.closed.wait()
    transport.close()
    await conversation.closed.wait()
