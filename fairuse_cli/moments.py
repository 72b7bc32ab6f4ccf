"""Points in time and shares as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_protocol.units import Duration

_TOO_LATE = 1e11
"""As the controller takes times: the year 5138."""


def moment(option: str, typed: str, *, now: float) -> float:
    """A time in UTC, or a length of time from `now`: "2026-11-01", "2026-11-01 14:00", "3d".

    Another offset than UTC's can be typed behind it. Returns seconds since the epoch; a date alone
    is its first minute. CommandFailed names `option`.
    """
    try:
        return now + Duration.parse(typed)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(typed)
        at = (found.replace(tzinfo=UTC) if found.tzinfo is None else found).timestamp()
    except (ValueError, OverflowError) as error:
        raise CommandFailed(
            USAGE,
            f'{option}: expected a time such as "2026-11-01" or "2026-11-01 14:00" (UTC; '
            '"2026-11-01T14:00+01:00" for another zone), or a length of time from now such as '
            f'"3d" or "2h 30m", found "{typed}"',
        ) from error
    if at >= _TOO_LATE:
        raise CommandFailed(
            USAGE,
            f'{option}: expected a time before the year 5138, found "{typed}"; for something '
            "open-ended take a day far away, such as 2099-12-31",
        )
    return at


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_LONGEST_MONTH_DAYS = 31


def span_start(option: str, typed: str) -> datetime:
    """Where a span begins: with the month "2026-11", the day "2026-11-01", or at a time.

    UTC unless an offset is typed, so that a month is the same whoever asks. CommandFailed names
    `option`.
    """
    whole = f"{typed}-01" if _MONTH.fullmatch(typed) else typed
    try:
        found = datetime.fromisoformat(whole)
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CommandFailed(
            USAGE,
            f'{option}: expected a month, a day or a time such as "2026-11", "2026-11-01" or '
            f'"2026-11-01T12:00+01:00", found "{typed}"',
        ) from error


def span_end(option: str, typed: str) -> datetime:
    """Where a span ends: after the month or the day typed, or at a time; as `span_start`."""
    start = span_start(option, typed)
    if _MONTH.fullmatch(typed):
        return (start + timedelta(days=_LONGEST_MONTH_DAYS)).replace(day=1)
    return start + timedelta(days=1) if _DAY.fullmatch(typed) else start


def share(option: str, typed: str) -> float:
    """A share of a whole, typed as a percentage: "50%" is 0.5. CommandFailed names `option`."""
    number, percent, rest = typed.partition("%")
    try:
        if not percent or rest.strip():
            raise ValueError
        found = float(number) / 100
    except ValueError as error:
        raise CommandFailed(
            USAGE, f'{option}: expected a percentage such as "50%", found "{typed}"'
        ) from error
    if not 0 < found <= 1:
        raise CommandFailed(
            USAGE, f'{option}: expected more than 0% and at most 100% of the host, found "{typed}"'
        )
    return found
