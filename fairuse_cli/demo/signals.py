"""Ctrl-C and SIGTERM end the demo in order: what it made goes away first."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """A signal asked the demo to end. Not an Exception: nothing may take it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def _raise(number: int, frame: FrameType | None) -> None:
    del frame
    raise Ended(number)


@contextmanager
def raised() -> Iterator[None]:
    """Outside of the event loop: a signal raises Ended."""
    before = {number: signal.signal(number, _raise) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ignored() -> Iterator[None]:
    """While tidying up, which is bounded in time: a second Ctrl-C does not spoil it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def cancelling() -> Iterator[None]:
    """In the event loop: a signal cancels the current task, which then raises Ended."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("expected to be called in a task")
    received: list[int] = []

    def cancel(number: int) -> None:
        # A second one must not interrupt the programs' orderly end.
        if not received:
            received.append(number)
            task.cancel()

    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        loop.add_signal_handler(number, cancel, number)
    try:
        yield
    except asyncio.CancelledError:
        if received:
            raise Ended(received[0]) from None
        raise
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
