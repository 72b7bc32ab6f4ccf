"""Recordings of a host's CPU for tests: who used how much and who waited, written as a trace."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.backtest.events import Event, EventStore
from controller.backtest.layout import SAMPLE_COLUMNS, USE_COLUMNS
from controller.backtest.outcome import play
from controller.backtest.trace import Trace
from controller.fairshare.policy import (
    LimitTerms,
    Policy,
    Rule,
    Severities,
    SeverityStep,
    Times,
)
from fairuse_protocol.units import Duration

START = 1_700_000_040
MINUTE = 60
CORES = 8.0

POLICY = Policy(
    rule=Rule(window=Duration(5 * MINUTE)),
    severity=Severities(
        low=SeverityStep(harmed_share=0, waiting=0, deadline=Duration(5 * MINUTE)),
        high=SeverityStep(harmed_share=1, waiting=1, deadline=Duration(5 * MINUTE)),
        critical=SeverityStep(harmed_share=1, waiting=1, deadline=Duration(5 * MINUTE)),
    ),
    times=Times(subsides_after=Duration(3 * MINUTE), mail_arrives_within=Duration(MINUTE)),
    limit=LimitTerms(lease=Duration(5 * MINUTE), step_every=Duration(MINUTE)),
)
BUSY = {"hog": 6.5, "a": 0.5, "b": 0.5, "c": 0.5}
CALM = {"hog": 0.5, "a": 0.5, "b": 0.5, "c": 0.5}


@dataclass(frozen=True)
class Interval:
    """One interval of one host: cores by tenant, and how much everybody waited for CPU."""

    ended_at: int
    used: dict[str, float] = field(default_factory=lambda: CALM)
    waiting: float = 0.0
    seconds: int = MINUTE
    host: str = "h1"

    def rows(self) -> Iterator[dict[str, object]]:
        for tenant, cores in {"": 0.0, **self.used}.items():
            yield {
                "time": self.ended_at,
                "host": self.host,
                "tenant": tenant,
                "seconds": self.seconds,
                "cpu_cores": cores,
                "cpu_wait": self.waiting,
            }


def busy(ended_at: int, *, host: str = "h1", seconds: int = MINUTE) -> Interval:
    """The hog takes all that is left, and its neighbours wait."""
    return Interval(ended_at, BUSY, 0.4, seconds, host)


def minutes(plan: str, *, host: str = "h1", start: int = START) -> list[Interval]:
    """One interval a minute by a plan of letters: b is busy, c is calm, and a dot is missing."""
    return [
        busy(at, host=host) if letter == "b" else Interval(at, host=host)
        for at, letter in zip(range(start + MINUTE, 2**62, MINUTE), plan, strict=False)
        if letter != "."
    ]


def record(directory: Path, intervals: Iterable[Interval], *, cores: float | None = CORES) -> Path:
    """Write a trace; `cores` None is a capacity that is not known."""
    return record_rows(directory, [row for one in intervals for row in one.rows()], cores=cores)


def record_rows(
    directory: Path, rows: Sequence[dict[str, object]], *, cores: float | None = CORES
) -> Path:
    """Write a trace with its rows in just this order."""
    directory.mkdir(exist_ok=True)
    known = [] if cores is None else [("cpu_cores", cores)]
    hosts = sorted({str(row["host"]) for row in rows})
    _write(
        directory / "hosts.csv", ("host", *USE_COLUMNS), [{"host": h, **dict(known)} for h in hosts]
    )
    places = sorted({(str(row["host"]), str(row["tenant"])) for row in rows if row["tenant"]})
    _write(
        directory / "tenants.csv",
        ("host", "tenant", "weight"),
        [{"host": host, "tenant": tenant, "weight": 1} for host, tenant in places],
    )
    _write(directory / "samples.csv", SAMPLE_COLUMNS, rows)
    return directory


def events_of(directory: Path, policy: Policy = POLICY) -> list[Event]:
    """What the replay of a trace brings about."""
    with play(Trace.open(directory), [("p", policy)], lambda _rows: None) as played:
        return list(played.outcomes[0].events.in_order())


def told(events: EventStore | Iterable[Event]) -> list[tuple[str, int]]:
    """Names of events, with minutes after the start."""
    found = events.in_order() if isinstance(events, EventStore) else events
    return [(event.event, (event.time - START) // MINUTE) for event in found]


def _write(path: Path, columns: Sequence[str], rows: Iterable[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
