"""Agreements with customers: added and withdrawn, never deleted."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.fairshare.agreement import Agreement
from controller.storage import schema

_agreements = schema.agreements


async def add(connection: AsyncConnection, agreement: Agreement) -> None:
    """Store a new one."""
    await connection.execute(_agreements.insert().values(msgspec.structs.asdict(agreement)))


async def withdraw(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    at: float,
    by: str,
    because: str,
) -> bool:
    """It is good no more. False, and no change, if it had ended or was withdrawn before."""
    done = await connection.execute(
        _agreements.update()
        .where(
            _agreements.c.id == id,
            _agreements.c.withdrawn_at.is_(None),
            _agreements.c.ends_at >= at,
        )
        .values(withdrawn_at=at, withdrawn_by=by, withdrawn_because=because)
    )
    return done.rowcount == 1


async def all_of_them(connection: AsyncConnection) -> list[Agreement]:
    """Those that have ended too, the last recorded first."""
    found = await connection.execute(
        sa.select(_agreements).order_by(_agreements.c.recorded_at.desc(), _agreements.c.id)
    )
    return [msgspec.convert(row, Agreement, from_attributes=True) for row in found]
