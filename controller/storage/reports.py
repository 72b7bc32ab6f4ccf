"""Reports as they came, for a while: what windows are rebuilt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_reports = schema.reports

_INSERT = (
    "INSERT INTO reports (host, spool, sequence, ended_at, body) VALUES ({marks})"
    " ON CONFLICT (host, spool, sequence) DO NOTHING"
)
_MARKS = {"sqlite": "?, ?, ?, ?, ?", "postgresql": "%s, %s, %s, %s, %s"}


ReportKey = tuple[str, str, int]
"""Host, spool and sequence: what makes a report unique."""


class ReportRow(NamedTuple):
    """One report to be stored. `body` is its msgpack form."""

    host: str
    spool: str
    sequence: int
    ended_at: float
    body: bytes

    @property
    def key(self) -> ReportKey:
        """What makes it unique."""
        return self[:3]


async def append(connection: AsyncConnection, rows: Sequence[ReportRow]) -> set[ReportKey]:
    """Store these reports; those that are there already are left alone. Returns the new ones.

    This is the one hot statement of the controller, so it goes to the driver directly.
    """
    insert = _INSERT.format(marks=_MARKS[connection.dialect.name])
    done = await connection.exec_driver_sql(insert, list(rows))
    if done.rowcount == len(rows):
        return {row.key for row in rows}
    # This transaction is the only writer, so the newest ids are the rows that it added.
    newest = await connection.execute(
        sa.select(_reports.c.host, _reports.c.spool, _reports.c.sequence)
        .order_by(_reports.c.id.desc())
        .limit(done.rowcount)
    )
    return {(row.host, row.spool, row.sequence) for row in newest}


async def since(connection: AsyncConnection, host: str, ended_after: float) -> list[bytes]:
    """The bodies of one host's reports that ended after that time, oldest first."""
    found = await connection.scalars(
        sa.select(_reports.c.body)
        .where(_reports.c.host == host, _reports.c.ended_at > ended_after)
        .order_by(_reports.c.ended_at)
    )
    return list(found)


async def prune(connection: AsyncConnection, before: float, *, limit: int = 1000) -> int:
    """Delete the oldest of the reports that ended before then; returns how many went.

    Looks at the `limit` that were stored first, so that intake never waits long. One that came
    late goes late.
    """
    first = sa.select(_reports.c.id).order_by(_reports.c.id).limit(limit)
    done = await connection.execute(
        _reports.delete().where(_reports.c.id.in_(first), _reports.c.ended_at < before)
    )
    return done.rowcount
