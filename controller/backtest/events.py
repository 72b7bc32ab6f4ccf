"""What a replay brought about, as the trace format prints it, kept on disk until it is told.

Events of several hosts do not come in order of time; sorting them must not need memory that
grows with the trace, so they wait in a database file that is gone with the process.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from fairuse_protocol.messages import Message, Resource

EventName = Literal["case-opened", "notice-sent", "limit-applied", "limit-lifted", "case-closed"]


class Event(Message):
    """One line of a backtest: see the trace format."""

    time: int
    host: str
    tenant: str
    resource: Resource
    event: EventName
    ratio: float
    """Usage over fair share, averaged over the window that the event rests on."""
    reason: str


class Tally(NamedTuple):
    """How much came about, of whatever it is counted by."""

    cases: int
    notices: int
    limits: int
    limited_minutes: float


_COUNTS = (
    "coalesce(sum(event = 'case-opened'), 0), coalesce(sum(event = 'notice-sent'), 0),"
    " coalesce(sum(event = 'limit-applied'), 0), coalesce(sum(limited_seconds), 0) / 60.0"
)
Grouping = Literal["tenant", "resource", "day", "host"]
_GROUPINGS: dict[Grouping, str] = {
    "tenant": "tenant",
    "resource": "resource",
    "host": "host",
    "day": "date(time, 'unixepoch')",
}


class EventStore:
    """The events of one replay."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="fairuse-backtest-")
        self._database = sqlite3.connect(Path(self._directory.name) / "events.db")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE events (time INTEGER, host TEXT, tenant TEXT, resource TEXT,"
            " event TEXT, ratio REAL, reason TEXT, limited_seconds REAL)"
        )

    def close(self) -> None:
        """Remove the file."""
        self._database.close()
        self._directory.cleanup()

    def add(self, event: Event, *, limited_seconds: float = 0.0) -> None:
        """Keep one event; a lift says how long the limit stood."""
        row = (*msgspec.structs.astuple(event), limited_seconds)
        self._database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def in_order(self) -> Iterator[Event]:
        """All events in order of time, and at one time as they came."""
        rows = self._database.execute(
            "SELECT time, host, tenant, resource, event, ratio, reason FROM events"
            " ORDER BY time, rowid"
        )
        for row in rows:
            yield msgspec.convert(dict(zip(Event.__struct_fields__, row, strict=True)), Event)

    def total(self) -> Tally:
        """Everything together."""
        row = self._database.execute(f"SELECT {_COUNTS} FROM events").fetchone()  # noqa: S608 - constants
        return Tally(*row)

    def by(self, grouping: Grouping) -> list[tuple[str, Tally]]:
        """Counted by tenant, resource, host or day, most cases first, days in order."""
        key = _GROUPINGS[grouping]
        order = "1" if grouping == "day" else "2 DESC, 5 DESC, 1"
        rows = self._database.execute(
            f"SELECT {key}, {_COUNTS} FROM events GROUP BY 1 ORDER BY {order}"  # noqa: S608 - constants
        )
        return [(row[0], Tally(*row[1:])) for row in rows]
