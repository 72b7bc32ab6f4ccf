"""The outbox: notices queued with the decision that asks for them, until a channel accepts them.

A notice is in one of three states: due (`next_try_at` is set), accepted, or failed for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_notices = schema.notices


@dataclass(frozen=True)
class NoticeRow:
    """One notice as stored. `answer` is what the channel said last."""

    id: str
    case_id: str
    kind: str
    queued_at: float
    next_try_at: float | None
    tries: int
    accepted_at: float | None
    failed_at: float | None
    channel: str | None
    answer: str
    document: str


async def queue(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    case_id: str,
    kind: str,
    queued_at: float,
    document: str,
) -> None:
    """Queue a notice, due at once."""
    await connection.execute(
        _notices.insert().values(
            id=id,
            case_id=case_id,
            kind=kind,
            queued_at=queued_at,
            next_try_at=queued_at,
            document=document,
        )
    )


async def due(connection: AsyncConnection, now: float, limit: int) -> list[NoticeRow]:
    """The notices to send now, the longest due first."""
    found = await connection.execute(
        sa.select(_notices)
        .where(_notices.c.next_try_at <= now)
        .order_by(_notices.c.next_try_at, _notices.c.id)
        .limit(limit)
    )
    return [NoticeRow(*row) for row in found]


async def next_due_at(connection: AsyncConnection) -> float | None:
    """When the next notice is to be sent; None if none is waiting."""
    earliest: float | None = await connection.scalar(sa.select(sa.func.min(_notices.c.next_try_at)))
    return earliest


async def of_case(connection: AsyncConnection, case_id: str) -> list[NoticeRow]:
    """All notices of one case, in the order in which they were queued."""
    found = await connection.execute(
        sa.select(_notices)
        .where(_notices.c.case_id == case_id)
        .order_by(_notices.c.queued_at, _notices.c.id)
    )
    return [NoticeRow(*row) for row in found]


async def waiting_of(connection: AsyncConnection, case_ids: Sequence[str]) -> list[str]:
    """The ids of these cases' notices that are still to be sent."""
    found = await connection.scalars(
        sa.select(_notices.c.id).where(
            _notices.c.case_id.in_(case_ids), _notices.c.next_try_at.is_not(None)
        )
    )
    return list(found)


async def mark_accepted(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    at: float,
    channel: str,
    answer: str,
) -> bool:
    """A channel took it. False, and no change, if the notice was not waiting any more."""
    return await _settle(
        connection, id, next_try_at=None, accepted_at=at, channel=channel, answer=answer
    )


async def mark_failed(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    at: float,
    answer: str,
) -> bool:
    """No channel will take it. False, and no change, if the notice was not waiting any more."""
    return await _settle(connection, id, next_try_at=None, failed_at=at, answer=answer)


async def mark_retry(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    next_try_at: float,
    answer: str,
) -> bool:
    """Not this time; try again then. False, and no change, if it was not waiting any more."""
    return await _settle(connection, id, next_try_at=next_try_at, answer=answer)


async def _settle(connection: AsyncConnection, id: str, **values: object) -> bool:  # noqa: A002
    done = await connection.execute(
        _notices.update()
        .where(_notices.c.id == id, _notices.c.next_try_at.is_not(None))
        .values(tries=_notices.c.tries + 1, **values)
    )
    return done.rowcount == 1
