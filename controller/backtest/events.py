"""What a replay brought about, as the trace format prints it, kept on disk until it is told.

Events of several hosts do not come in order of time; sorting them must not need memory that
grows with the trace, so they wait in a database file that is gone with the process.
"""

from __future__ import annotations

import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from controller.fairshare.evidence import Verdict
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
Grouping = Literal["tenant", "resource", "host"]


class PastCase(NamedTuple):
    """One case of a replay, from its opening to its end."""

    tally: Tally
    opened_at: int
    closed_at: int | None
    """None: still open when the trace ended."""
    closing: str | None
    evidence: Verdict
    """What it was opened upon: what the customer would have been shown."""
    host: str
    tenant: str
    resource: Resource


class EventStore:
    """The events of one replay, and the evidence that each case was opened upon."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="fairuse-backtest-")
        self._database = sqlite3.connect(Path(self._directory.name) / "events.db")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE events (time INTEGER, host TEXT, tenant TEXT, resource TEXT,"
            " event TEXT, ratio REAL, reason TEXT, case_id TEXT, limited_seconds REAL,"
            " evidence BLOB)"
        )

    def close(self) -> None:
        """Remove the file."""
        self._database.close()
        self._directory.cleanup()

    def add(
        self,
        event: Event,
        case_id: str,
        *,
        limited_seconds: float = 0.0,
        evidence: Verdict | None = None,
    ) -> None:
        """Keep one event; a lift says how long the limit stood, an opening what it rests on."""
        packed = None if evidence is None else zlib.compress(_pack(evidence), level=1)
        row = (*msgspec.structs.astuple(event), case_id, limited_seconds, packed)
        self._database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

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
        """Counted by tenant, resource or host, most cases first."""
        rows = self._database.execute(
            f"SELECT {grouping}, {_COUNTS} FROM events GROUP BY 1 ORDER BY 2 DESC, 5 DESC, 1"  # noqa: S608 - constants
        )
        return [(row[0], Tally(*row[1:])) for row in rows]

    def by_time(self, seconds: int, origin: int) -> dict[int, Tally]:
        """Counted by stretches of this length that follow on `origin`, keyed by where each
        begins; those in which nothing happened are absent. A limit counts where it ends."""
        rows = self._database.execute(
            f"SELECT (time - ?) / ? AS place, {_COUNTS} FROM events GROUP BY 1 ORDER BY 1",  # noqa: S608 - constants
            (origin, seconds),
        )
        return {origin + row[0] * seconds: Tally(*row[1:]) for row in rows}

    def cases(self, most: int) -> list[PastCase]:
        """The cases that cost customers most: longest limited, then furthest over fair share."""
        rows = self._database.execute(
            f"SELECT {_COUNTS}, min(time),"  # noqa: S608 - constants
            " max(CASE WHEN event = 'case-closed' THEN time END),"
            " max(CASE WHEN event = 'case-closed' THEN reason END),"
            " max(evidence), host, tenant, resource FROM events GROUP BY case_id"
            " ORDER BY 4 DESC, max(CASE WHEN event = 'case-opened' THEN ratio END) DESC, 5"
            " LIMIT ?",
            (most,),
        )
        return [
            PastCase(
                tally=Tally(*row[:4]),
                opened_at=row[4],
                closed_at=row[5],
                closing=row[6],
                evidence=_unpack(zlib.decompress(row[7])),
                host=row[8],
                tenant=row[9],
                resource=row[10],
            )
            for row in rows
        ]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Verdict).decode
