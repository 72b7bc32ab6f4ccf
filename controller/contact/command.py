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
from asyncio.subprocess import PIPE, Process
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
            process = await asyncio.create_subprocess_exec(
                *self._settings.argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
            )
        except OSError as error:
            return self._refused(f"{self._settings.argv[0]} cannot be run: {error}", for_good=False)
        try:
            async with asyncio.timeout(self._settings.timeout):
                said, complained = await _converse(process, payload(notice))
        except TimeoutError:
            return self._refused(
                f"{self._settings.argv[0]} was killed: it took longer than "
                f"contact.command.timeout ({self._settings.timeout})",
                for_good=False,
            )
        finally:
            if process.returncode is None:
                _kill_group(process)
                await process.wait()
        return self._outcome(process.returncode, said, complained)

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


async def _converse(process: Process, text: bytes) -> tuple[str, str]:
    """Give it the notice, and hear what it says until it ends."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("expected a process with three pipes")
    said, complained = bytearray(), bytearray()
    listening = [
        asyncio.create_task(_listen(process.stdout, said)),
        asyncio.create_task(_listen(process.stderr, complained)),
    ]
    feeding = asyncio.create_task(_feed(process.stdin, text))
    try:
        await process.wait()
        _kill_group(process)
        await asyncio.wait(listening, timeout=_LAST_WORDS_SECONDS)
    finally:
        for task in (feeding, *listening):
            task.cancel()
        await asyncio.gather(feeding, *listening, return_exceptions=True)
    return said.decode("utf-8", "replace"), complained.decode("utf-8", "replace")


async def _feed(stdin: asyncio.StreamWriter, text: bytes) -> None:
    # One that does not read what it is given can still accept it.
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(text)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _listen(output: asyncio.StreamReader, kept: bytearray) -> None:
    while chunk := await output.read(_OUTPUT_BYTES):
        kept += chunk[: _OUTPUT_BYTES - len(kept)]


def _kill_group(process: Process) -> None:
    """It leads its own session, so that its group is what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
