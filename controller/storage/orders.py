"""Orders: which limits hosts were told to hold, on what grounds, and until when."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_orders, _notices = schema.orders, schema.notices


class NoticeNotAccepted(Exception):
    """Promise 1: an order may rest only on a notice that was accepted for delivery."""


@dataclass(frozen=True)
class OrderRow:
    """One order as stored. It stands while `ended_at` is None and its lease lasts."""

    id: str
    case_id: str
    host: str
    tenant: str
    resource: str
    issued_at: float
    lease_until: float
    confirmed_at: float | None
    ended_at: float | None
    notice_id: str | None
    ordered_by: str | None
    reason: str
    document: str


async def issue(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    case_id: str,
    host: str,
    tenant: str,
    resource: str,
    issued_at: float,
    lease_until: float,
    notice_id: str | None,
    ordered_by: str | None,
    reason: str,
    document: str,
) -> None:
    """Store a new order. NoticeNotAccepted or IntegrityError if nothing allows it (promise 1)."""
    if notice_id is not None:
        await _require_accepted(connection, notice_id)
    await connection.execute(
        _orders.insert().values(
            id=id,
            case_id=case_id,
            host=host,
            tenant=tenant,
            resource=resource,
            issued_at=issued_at,
            lease_until=lease_until,
            notice_id=notice_id,
            ordered_by=ordered_by,
            reason=reason,
            document=document,
        )
    )


async def _require_accepted(connection: AsyncConnection, notice_id: str) -> None:
    accepted_at = await connection.scalar(
        sa.select(_notices.c.accepted_at).where(_notices.c.id == notice_id)
    )
    if accepted_at is None:
        raise NoticeNotAccepted(
            f"notice {notice_id}: expected one that was accepted for delivery before a limit "
            "rests on it (promise 1)"
        )


async def document(connection: AsyncConnection, id: str) -> str | None:  # noqa: A002 - the column's name
    """What an order says besides its columns; None: there is no such order."""
    found: str | None = await connection.scalar(
        sa.select(_orders.c.document).where(_orders.c.id == id)
    )
    return found


async def change(connection: AsyncConnection, id: str, document: str) -> bool:  # noqa: A002 - the column's name
    """Replace a standing order's document. False, and no change, if it has ended."""
    done = await connection.execute(
        _orders.update()
        .where(_orders.c.id == id, _orders.c.ended_at.is_(None))
        .values(document=document)
    )
    return done.rowcount == 1


async def confirm(connection: AsyncConnection, id: str, at: float) -> None:  # noqa: A002 - the column's name
    """Its host says for the first time that it stands."""
    await connection.execute(
        _orders.update()
        .where(_orders.c.id == id, _orders.c.confirmed_at.is_(None))
        .values(confirmed_at=at)
    )


async def end(connection: AsyncConnection, id: str, ended_at: float) -> bool:  # noqa: A002 - the column's name
    """The order stands no more. False, and no change, if it had ended before."""
    done = await connection.execute(
        _orders.update()
        .where(_orders.c.id == id, _orders.c.ended_at.is_(None))
        .values(ended_at=ended_at)
    )
    return done.rowcount == 1


async def standing(connection: AsyncConnection) -> list[OrderRow]:
    """All orders that have not ended, oldest first."""
    return await _select(connection, _orders.c.ended_at.is_(None))


async def of_case(connection: AsyncConnection, case_id: str) -> list[OrderRow]:
    """All orders of one case, oldest first."""
    return await _select(connection, _orders.c.case_id == case_id)


async def _select(connection: AsyncConnection, condition: sa.ColumnElement[bool]) -> list[OrderRow]:
    found = await connection.execute(
        sa.select(_orders).where(condition).order_by(_orders.c.issued_at, _orders.c.id)
    )
    return [OrderRow(*row) for row in found]


async def limited_seconds(
    connection: AsyncConnection, host: str, tenant: str, *, since: float, now: float
) -> float:
    """How long a tenant was under orders on a host from `since` until `now`, all together."""
    rows = await connection.execute(
        sa.select(_orders.c.issued_at, _orders.c.ended_at, _orders.c.lease_until).where(
            _orders.c.host == host, _orders.c.tenant == tenant, _orders.c.lease_until > since
        )
    )
    total = 0.0
    for issued_at, ended_at, lease_until in rows:
        until = min(now, lease_until, now if ended_at is None else ended_at)
        total += max(0.0, until - max(since, issued_at))
    return total
