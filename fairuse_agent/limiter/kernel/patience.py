"""Waiting for somebody who may never answer, for a bounded time.

libvirt's calls block in C for as long as its daemon does. Each call is made in a thread of its
own, and whoever asked waits for a few seconds at most: a daemon that hangs over one tenant must
not keep another tenant's limit standing beyond its lease (promise 2).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from fairuse_agent.limiter.kernel.knobs import KernelError

Result = TypeVar("Result")

PATIENCE_SECONDS = 10.0
"""A daemon that is well answers within milliseconds; one that is started by the question takes
seconds on a busy host (tried: more than 3)."""
IMPATIENCE_SECONDS = 0.5
"""For as long as another call is unanswered: twenty tenants of a daemon that hangs must not cost
twenty times the patience."""


class Patience:
    """Calls to one daemon, by what they are about: at most one about each at a time.

    An unanswered call goes on in its thread, and until it has come to an end nothing more is asked
    about the same thing: what it does late cannot overtake what is done after it.
    """

    def __init__(
        self,
        whom: str,
        seconds: float = PATIENCE_SECONDS,
        impatience_seconds: float = IMPATIENCE_SECONDS,
    ) -> None:
        self._whom = whom
        self._seconds = seconds
        self._impatience_seconds = impatience_seconds
        self._unanswered: dict[str, threading.Thread] = {}

    def call(self, about: str, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises; KernelError when that takes too long."""
        self._unanswered = {
            name: thread for name, thread in self._unanswered.items() if thread.is_alive()
        }
        if about in self._unanswered:
            raise KernelError(f"{about}: {self._whom} has not answered the last call yet")
        answer: Future[Result] = Future()
        # A daemon thread: one that hangs for ever does not keep the limiter from ending.
        thread = threading.Thread(target=_carry_out, args=(work, answer), daemon=True)
        thread.start()
        seconds = self._impatience_seconds if self._unanswered else self._seconds
        if not wait([answer], seconds).done:
            self._unanswered[about] = thread
            raise KernelError(f"{about}: {self._whom} did not answer within {seconds:g} s")
        return answer.result()


def _carry_out(work: Callable[[], Result], answer: Future[Result]) -> None:
    try:
        answer.set_result(work())
    except BaseException as error:  # noqa: BLE001  # whoever waits raises it
        answer.set_exception(error)
