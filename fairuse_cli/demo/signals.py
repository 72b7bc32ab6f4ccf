"""Ctrl-C and SIGTERM end the demo in order: what it made goes away first."""

from __future__ import annotations

import asyncio
import os
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


@contextmanager
def raised() -> Iterator[None]:
    """Outside of the event loop: a signal raises Ended."""
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() != owner:
            # A child that pyroute2 forked, and ends like this, may not tidy up in our place.
            os._exit(128 + number)
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in ENDING}
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
def bounded(seconds: int, what: str) -> Iterator[None]:
    """Outside of the event loop: raise TimeoutError when `what` takes longer."""

    def give_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TimeoutError(f"{what} took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
