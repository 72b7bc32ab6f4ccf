"""Settings as people say them, exactly: what was measured may be rounded, what was set may not."""

from __future__ import annotations

import datetime as dt

from babel import Locale

from controller.language.catalogue import languages
from fairuse_protocol.messages import Resource
from fairuse_protocol.units import Duration

RESOURCE_WORDS: dict[Resource, str] = {
    "cpu": "CPU",
    "disk": "disks",
    "net-in": "incoming network",
    "net-out": "outgoing network",
}
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_MANY = 120
"""From so many of a unit on, a decimal of the next larger one is easier to read."""


def length(duration: Duration) -> str:
    """A length of time in one unit where it goes: "90 minutes", "2 days", "22.5 minutes"."""
    for decimals in (0, 1):
        for unit, seconds in _UNITS:
            count = float(duration) / seconds
            if 1 <= count <= _MANY and count == round(count, decimals):
                return f"{count:g} {unit}{'' if count == 1 else 's'}"
    return str(duration)


def share(value: float) -> str:
    """A share in percent: "60 %", "7.5 %"."""
    return f"{round(value * 100, 6):g} %"


def times(value: float) -> str:
    """A factor: "2 times"."""
    return f"{value:g} times"


def language(code: str) -> str:
    """A language by its English name: "Danish"."""
    locale = languages()[code].locale
    return Locale(locale.language).english_name or code


def written(value: object) -> str:
    """A setting as it stands in a file, without quotes; "none" for what is left out."""
    if value is None or value == "":
        return "none"
    if isinstance(value, (Duration, dt.date, str)):
        return str(value)
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
