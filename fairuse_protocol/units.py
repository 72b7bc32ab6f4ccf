"""Durations, rates and sizes written as people write them: "20m", "50 Mbit/s", "2 GiB".

Each type is a plain number in the base unit (seconds, bytes per second, bytes) that knows how
to be parsed from a person's text and how to print itself, so that arithmetic stays arithmetic.
"""

from __future__ import annotations

import re
from typing import Self

_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_PREFIXES = {**_DECIMAL, **_BINARY}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(|[kMGT]|[KMGT]i)(bit|B)/s")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|[kMGT]|[KMGT]i)B")


class Duration(float):
    """A length of time in seconds."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "90s", "20m", "1h 30m" or "500ms"; a bare number is refused for want of a unit."""
        compact = text.strip()
        parts = _DURATION_PART.findall(compact)
        if not parts or _DURATION_PART.sub("", compact).strip():
            raise ValueError(
                f'expected a duration such as "90s", "20m" or "1h 30m", found "{text}"'
            )
        return cls(sum(float(number) * _DURATION_SECONDS[unit] for number, unit in parts))

    def __str__(self) -> str:
        if self < 1 and self > 0:
            return f"{self * 1000:g}ms"
        remaining, parts = float(self), []
        for unit, seconds in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
            count, remaining = divmod(remaining, seconds)
            if count:
                parts.append(f"{count:g}{unit}")
        if remaining or not parts:
            parts.append(f"{remaining:g}s")
        return " ".join(parts)


class Rate(float):
    """A rate in bytes per second."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "50 Mbit/s", "10 MB/s" or "4 MiB/s" (bit and B differ by eight)."""
        match = _RATE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a rate such as "50 Mbit/s" or "10 MB/s", found "{text}"')
        number, prefix, unit = match.groups()
        return cls(float(number) * _PREFIXES[prefix] / (8 if unit == "bit" else 1))

    def __str__(self) -> str:
        return f"{_scaled(float(self))}B/s"

    @property
    def in_bits(self) -> str:
        """The same rate as network people write it: "50 Mbit/s"."""
        return f"{_scaled(float(self) * 8)}bit/s"


class Size(int):
    """An amount of data in bytes."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "64 MB" or "2 GiB"."""
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a size such as "64 MB" or "2 GiB", found "{text}"')
        return cls(float(match[1]) * _PREFIXES[match[2]])

    def __str__(self) -> str:
        return f"{_scaled(float(self))}B"


def _scaled(value: float) -> str:
    for prefix in ("T", "G", "M", "k"):
        # From 999.5 on, three digits would round up to the next prefix.
        if value >= 0.9995 * _DECIMAL[prefix]:
            return f"{value / _DECIMAL[prefix]:.3g} {prefix}"
    return f"{value:.3g} "
