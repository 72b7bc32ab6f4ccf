"""A trace's time cut into hours, days or weeks, so that a chart over it can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.backtest.events import Tally
from controller.backtest.extent import Extent

_HOUR, _DAY = 3600, 86_400
_WEEK = 7 * _DAY
_FIRST_MONDAY = 4 * _DAY
"""5 January 1970, in seconds since the epoch."""
_MOST_HOURS, _MOST_DAYS = 48, 92
_NOTHING = Tally(0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Periods:
    """All stretches of a trace, equally long, in order; the first and last may be cut short."""

    name: str
    """"hour", "day" or "week"."""
    seconds: int
    origin: int
    """Where stretches are counted from."""
    begins: tuple[int, ...]
    """Of each, seconds since the epoch."""

    @classmethod
    def of(cls, extent: Extent) -> Periods:
        """Hours of up to two days, days of up to three months, else weeks from Monday on."""
        if extent.seconds <= _MOST_HOURS * _HOUR:
            name, seconds, origin = "hour", _HOUR, 0
        elif extent.seconds <= _MOST_DAYS * _DAY:
            name, seconds, origin = "day", _DAY, 0
        else:
            name, seconds, origin = "week", _WEEK, _FIRST_MONDAY
        if extent.began_at is None or extent.ended_at is None:
            return cls(name, seconds, origin, ())
        first = (extent.began_at - origin) // seconds
        last = (extent.ended_at - 1 - origin) // seconds
        begins = tuple(origin + place * seconds for place in range(first, last + 1))
        return cls(name, seconds, origin, begins)

    def each(self, counts: Mapping[int, Tally]) -> list[Tally]:
        """Every stretch's count. What came after the last one (a lease that ran out when the
        trace was over) counts in it."""
        tallies = [counts.get(begin, _NOTHING) for begin in self.begins]
        late = [tally for begin, tally in counts.items() if begin > self.begins[-1]]
        if late:
            tallies[-1] = Tally(*(sum(parts) for parts in zip(tallies[-1], *late, strict=True)))
        return tallies

    def label(self, begin: int) -> str:
        """What stands under a stretch: "14:00", "3 Jul"."""
        when = datetime.fromtimestamp(begin, UTC)
        return f"{when:%H:%M}" if self.name == "hour" else f"{when.day} {when:%b}"

    def title(self, begin: int) -> str:
        """What a stretch is called in full: "Wednesday 3 July 2013", "3 July 2013, 14:00"."""
        when = datetime.fromtimestamp(begin, UTC)
        match self.name:
            case "hour":
                return f"{when.day} {when:%B %Y, %H:%M}"
            case "day":
                return f"{when:%A} {when.day} {when:%B %Y}"
        last = when + timedelta(days=6)
        return f"{when.day} {when:%B} to {last.day} {last:%B %Y}"
