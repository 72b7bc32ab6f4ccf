"""Whether the controller's clock was set forward, by one that nobody can set."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)
_JUMP_SECONDS = 5.0
"""More than a busy controller's tick is ever late by, less than any deadline."""


class Jumps:
    """Compares the time of day with a clock that runs on whatever happens to it."""

    def __init__(self, now: float, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._last = now, steady()

    def since_last(self, now: float) -> float:
        """Seconds that the clock was set forward by since this was last asked; 0 for none."""
        steady = self._steady()
        before, steady_before = self._last
        self._last = now, steady
        jump = (now - before) - (steady - steady_before)
        if jump < _JUMP_SECONDS:
            return 0.0
        _log.warning("the clock was set forward by %.0f s; deadlines move with it", jump)
        return jump
