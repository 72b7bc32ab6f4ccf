"""Letters that are about no case, queued until a channel accepts them.

As with notices (notices.py), one is due (`next_try_at` is set), accepted, or failed for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_announcements = schema.announcements

Key = tuple[str, str, str]
"""Tenant, kind, and what it is about: nobody is told the same twice (promise 5)."""


@dataclass(frozen=True)
class AnnouncementRow:
    """One announcement as stored. `answer` is what the channels said last."""

    id: str
    tenant: str
    kind: str
    about: str
    queued_at: float
    sending_since: float
    """When it was queued, moved on by the time in which nothing was to be sent."""
    next_try_at: float | None
    tries: int
    accepted_at: float | None
    failed_at: float | None
    channel: str | None
    answer: str
    document: str


async def known(connection: AsyncConnection) -> set[Key]:
    """All that were ever queued."""
    columns = (_announcements.c.tenant, _announcements.c.kind, _announcements.c.about)
    return {(row[0], row[1], row[2]) for row in await connection.execute(sa.select(*columns))}


async def queue(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    key: Key,
    queued_at: float,
    document: str,
) -> None:
    """Queue one, due at once; IntegrityError if the tenant was told the same before."""
    tenant, kind, about = key
    await connection.execute(
        _announcements.insert().values(
            id=id,
            tenant=tenant,
            kind=kind,
            about=about,
            queued_at=queued_at,
            sending_since=queued_at,
            next_try_at=queued_at,
            document=document,
        )
    )


async def due(connection: AsyncConnection, now: float, limit: int) -> list[AnnouncementRow]:
    """Those to send now, the longest due first."""
    return await _select(
        connection,
        sa.select(_announcements)
        .where(_announcements.c.next_try_at <= now)
        .order_by(_announcements.c.next_try_at, _announcements.c.id)
        .limit(limit),
    )


async def listed(
    connection: AsyncConnection, *, tenant: str | None = None, limit: int | None = None
) -> list[AnnouncementRow]:
    """One tenant's or all, the last queued first."""
    wanted = sa.select(_announcements).order_by(
        _announcements.c.queued_at.desc(), _announcements.c.id
    )
    if tenant is not None:
        wanted = wanted.where(_announcements.c.tenant == tenant)
    return await _select(connection, wanted.limit(limit))


async def put_off(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    now: float,
    until: float,
) -> None:
    """Nothing is to be sent before `until`; that time does not count against it."""
    since = _announcements.c.sending_since + (until - now)
    await connection.execute(
        _announcements.update()
        .where(_announcements.c.id == id, _announcements.c.next_try_at.is_not(None))
        .values(next_try_at=until, sending_since=since)
    )


async def settle(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    answer: str,
    accepted_at: float | None = None,
    failed_at: float | None = None,
    next_try_at: float | None = None,
    channel: str | None = None,
) -> None:
    """What became of a try: it was accepted, has failed for good, or is tried again then."""
    await connection.execute(
        _announcements.update()
        .where(_announcements.c.id == id, _announcements.c.next_try_at.is_not(None))
        .values(
            tries=_announcements.c.tries + 1,
            accepted_at=accepted_at,
            failed_at=failed_at,
            next_try_at=next_try_at,
            channel=channel,
            answer=answer,
        )
    )


async def _select(connection: AsyncConnection, wanted: sa.Select[Any]) -> list[AnnouncementRow]:
    return [AnnouncementRow(*row) for row in await connection.execute(wanted)]
