"""Numbers, rates and lengths of time as a language writes them."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from babel.dates import format_timedelta
from babel.numbers import NumberPattern, format_decimal, parse_pattern

from controller.language.catalogue import ENGLISH, Language
from fairuse_protocol.units import Rate

_WHOLE = parse_pattern("0")
_ONE_DECIMAL = parse_pattern("0.0")
_UP_TO_ONE_DECIMAL = parse_pattern("0.#")
_UP_TO_TWO_DECIMALS = parse_pattern("0.##")
_UP_TO_SIX_DECIMALS = parse_pattern("0.######")

Unit = Literal["day", "hour", "minute", "second"]
_UNIT_SECONDS: dict[Unit, int] = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def figure(value: float, language: Language = ENGLISH) -> str:
    """A number for people, as exact as they need it: "6.2", "8", "0.67", "0.004"."""
    if value >= 1 or not value:
        return _written(_UP_TO_ONE_DECIMAL, value, language)
    if value >= 0.01:
        return _written(_UP_TO_TWO_DECIMALS, value, language)
    return _significant(value, 1, language)


def as_written(value: float) -> Decimal:
    """The number that `figure` writes, since words follow what stands before them."""
    return Decimal(figure(value))


def whole(value: float, language: Language = ENGLISH) -> str:
    """A whole number: "11"."""
    return _written(_WHOLE, value, language)


def times(ratio: float, language: Language = ENGLISH) -> str:
    """How many times as much: "4.1", "4.0"."""
    return _written(_ONE_DECIMAL, ratio, language)


def axis_number(value: float, language: Language = ENGLISH) -> str:
    """A round number as it is, without the noise of binary fractions: "2.5"."""
    return _significant(value, 6, language)


def percent(share: float, language: Language = ENGLISH) -> str:
    """A share for people: "23 %", and "0.4 %" where whole percents would hide it."""
    hundredths = share * 100
    if hundredths >= 1 or not share:
        number = _written(_WHOLE, hundredths, language)
    else:
        number = _significant(hundredths, 1, language)
    return language.gettext("%(number)s %%", number=number)


def rate(bytes_per_second: float, language: Language = ENGLISH) -> str:
    """A rate as network people write it: "48.2 Mbit/s". The unit is the same in every language."""
    number, _, unit = Rate(bytes_per_second).in_bits.partition(" ")
    return f"{_significant(float(number), 3, language)} {unit}"


def duration(seconds: float, language: Language = ENGLISH) -> str:
    """A length of time in words: "20 minutes", "8 seconds", "2 hours"."""
    return _in_words(seconds, language, from_now=False)


def from_now(seconds: float, language: Language = ENGLISH) -> str:
    """How far away a time is: "in 3 hours", "20 minutes ago"."""
    return _in_words(seconds, language, from_now=True)


def counted(seconds: float) -> tuple[int, Unit]:
    """A length of time as a number of the unit that people would count it in."""
    for unit, length in _UNIT_SECONDS.items():
        if seconds >= 2 * length or seconds == length:
            return round(seconds / length), unit
    return max(0, round(seconds)), "second"


def _written(pattern: NumberPattern, value: float | Decimal, language: Language) -> str:
    return format_decimal(value, format=pattern, locale=language.locale)


def _significant(value: float, digits: int, language: Language) -> str:
    """With this many digits that count. Babel's own patterns for that err where a digit carries."""
    return _written(_UP_TO_SIX_DECIMALS, Decimal(f"{value:.{digits}g}"), language)


def _in_words(seconds: float, language: Language, *, from_now: bool) -> str:
    count, unit = counted(abs(seconds))
    length = count * _UNIT_SECONDS[unit]
    return format_timedelta(
        timedelta(seconds=math.copysign(length, seconds)),
        granularity=unit,
        threshold=math.inf,
        add_direction=from_now,
        locale=language.locale,
    )
