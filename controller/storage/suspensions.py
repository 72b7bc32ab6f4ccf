"""Suspensions on record: whom operators had frozen, why, and from when until when."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_suspensions = schema.suspensions


@dataclass(frozen=True)
class SuspensionRow:
    """One suspension as stored. It stands while `ended_at` is None and its lease lasts."""

    id: str
    case_id: str
    host: str
    tenant: str
    ordered_by: str
    reason: str
    ordered_at: float
    lease_until: float
    confirmed_at: float | None
    ended_at: float | None


async def add(connection: AsyncConnection, row: SuspensionRow) -> None:
    """Store a new one; IntegrityError unless somebody ordered it by name with a reason."""
    await connection.execute(_suspensions.insert().values(vars(row)))


async def confirm(connection: AsyncConnection, id: str, at: float) -> None:  # noqa: A002 - the column's name
    """Its host says for the first time that the tenant is frozen."""
    await _change(connection, id, _suspensions.c.confirmed_at, at)


async def end(connection: AsyncConnection, id: str, at: float) -> None:  # noqa: A002 - as above
    """It is over."""
    await _change(connection, id, _suspensions.c.ended_at, at)


async def of_case(connection: AsyncConnection, case_id: str) -> list[SuspensionRow]:
    """All of one case, oldest first."""
    found = await connection.execute(
        sa.select(_suspensions)
        .where(_suspensions.c.case_id == case_id)
        .order_by(_suspensions.c.ordered_at, _suspensions.c.id)
    )
    return [SuspensionRow(*row) for row in found]


async def _change(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - as above
    column: sa.Column[float],
    at: float,
) -> None:
    """Once only: what was recorded first stands."""
    await connection.execute(
        _suspensions.update()
        .where(_suspensions.c.id == id, column.is_(None))
        .values({column.name: at})
    )
