"""Answers that may take long, or never come, asked for in a thread of their own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

_PATIENCE_SECONDS = 0.05
"""How long something new waits for its answer at once. Once one did not come in that time,
nothing waits any more until answers come again."""
_SILENT_SECONDS = 5.0


class Lookup(Generic[Answer]):
    """Asks `ask` for each key once, and again after `read_again`.

    A file system or a name service that hangs holds up this thread, and nothing else. `ask`
    returns None where there is no answer; an OSError is kept in `trouble`.
    """

    def __init__(self, ask: Callable[[str], Answer | None]) -> None:
        self._ask = ask
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers: dict[str, Answer | None] = {}
        self._asked: dict[str, float] = {}
        """Keys under way, and since when."""
        self._news = threading.Event()
        self._settled = threading.Event()
        self._patient = True
        self._thread: threading.Thread | None = None
        self.trouble = ""
        """What kept the last question from an answer."""

    def get(self, key: str) -> Answer | None:
        """What is known of `key`; None while that is nothing."""
        if key not in self._answers and key not in self._asked:
            self._settled.clear()
            self._want(key)
            if self._patient:
                self._patient = self._settled.wait(_PATIENCE_SECONDS)
        return self._answers.get(key)

    def news(self) -> bool:
        """Did an answer come or change since this was last asked?"""
        if not self._news.is_set():
            return False
        self._news.clear()
        self._patient = True
        return True

    def read_again(self) -> None:
        """Ask again for all that is known, in the background."""
        for key in list(self._answers):
            if key not in self._asked:
                self._want(key)

    def silent_seconds(self) -> float:
        """For how long the oldest question has waited, once that is too long; else 0."""
        waited = max((time.monotonic() - at for at in list(self._asked.values())), default=0.0)
        return waited if waited >= _SILENT_SECONDS else 0.0

    def close(self) -> None:
        """End the thread, unless it hangs: then it ends with the program."""
        self._wanted.put(None)

    def _want(self, key: str) -> None:
        self._asked[key] = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lookup", daemon=True)
            self._thread.start()
        self._wanted.put(key)

    def _work(self) -> None:
        while (key := self._wanted.get()) is not None:
            try:
                answer = self._ask(key)
                self.trouble = ""
            except OSError as error:
                answer, self.trouble = None, f"{error.filename or key}: {error.strerror}"
            changed = key not in self._answers or self._answers[key] != answer
            self._answers[key] = answer
            if changed:
                self._news.set()
            self._asked.pop(key, None)
            self._settled.set()
