"""Switches that operators set and that survive a restart, such as "paused"."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_switches = schema.switches


@dataclass(frozen=True)
class SwitchRow:
    """A switch, and who set it when."""

    name: str
    value: str
    changed_at: float
    changed_by: str


async def get(connection: AsyncConnection, name: str) -> SwitchRow | None:
    """The switch, or None if it was never set."""
    found = await connection.execute(sa.select(_switches).where(_switches.c.name == name))
    row = found.first()
    return None if row is None else SwitchRow(*row)


async def set(  # noqa: A001 - read as switches.set
    connection: AsyncConnection, name: str, value: str, *, at: float, by: str
) -> None:
    """Set the switch."""
    values = {"value": value, "changed_at": at, "changed_by": by}
    done = await connection.execute(
        _switches.update().where(_switches.c.name == name).values(values)
    )
    if done.rowcount == 0:
        await connection.execute(_switches.insert().values(name=name, **values))
