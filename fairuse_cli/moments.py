"""Points in time and shares as people type them."""

from __future__ import annotations

from datetime import datetime

from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_protocol.units import Duration


def moment(option: str, typed: str, *, now: float) -> float:
    """A time here, or a length of time from `now`: "2026-11-01", "2026-11-01 14:00", "3d".

    Returns seconds since the epoch; a date alone is its first minute. CommandFailed names `option`.
    """
    try:
        return now + Duration.parse(typed)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(typed).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise CommandFailed(
            USAGE,
            f'{option}: expected a time such as "2026-11-01" or "2026-11-01 14:00", or a length '
            f'of time from now such as "3d" or "2h 30m", found "{typed}"',
        ) from error


def share(option: str, typed: str) -> float:
    """A share of a whole, typed as a percentage: "50%" is 0.5. CommandFailed names `option`."""
    number, percent, rest = typed.partition("%")
    try:
        if not percent or rest.strip():
            raise ValueError
        return float(number) / 100
    except ValueError as error:
        raise CommandFailed(
            USAGE, f'{option}: expected a percentage such as "50%", found "{typed}"'
        ) from error
