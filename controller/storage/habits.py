"""Tenants' habits, a row for each tenant of a host and hour of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.fairshare.habit import Habit
from controller.storage import schema

_habits = schema.habits
_USED = (_habits.c.cpu, _habits.c.disk, _habits.c.net_in, _habits.c.net_out)
"""In the order of RESOURCES."""


async def of_hour(connection: AsyncConnection, host: str, hour_of_week: int) -> list[Habit]:
    """Those of all tenants of a host at that hour of the week."""
    found = await connection.execute(
        sa.select(
            _habits.c.tenant,
            *_USED,
            _habits.c.measured_seconds,
            _habits.c.weeks,
            _habits.c.updated_at,
        ).where(_habits.c.host == host, _habits.c.hour_of_week == hour_of_week)
    )
    return [
        Habit(tenant, tuple(used), measured_seconds, weeks, updated_at)
        for tenant, *used, measured_seconds, weeks, updated_at in found
    ]


@dataclass(frozen=True)
class HabitRow:
    """A tenant's habit where and when it has it."""

    host: str
    hour_of_week: int
    habit: Habit


async def of_tenant(connection: AsyncConnection, tenant: str) -> list[HabitRow]:
    """All of one tenant's, by host and hour of the week."""
    found = await connection.execute(
        sa.select(
            _habits.c.host,
            _habits.c.hour_of_week,
            *_USED,
            _habits.c.measured_seconds,
            _habits.c.weeks,
            _habits.c.updated_at,
        )
        .where(_habits.c.tenant == tenant)
        .order_by(_habits.c.host, _habits.c.hour_of_week)
    )
    return [
        HabitRow(host, hour, Habit(tenant, tuple(used), measured_seconds, weeks, updated_at))
        for host, hour, *used, measured_seconds, weeks, updated_at in found
    ]


async def replace(
    connection: AsyncConnection, host: str, hour_of_week: int, habits: Sequence[Habit]
) -> None:
    """Make these the habits at that hour; whoever is not among them has none."""
    await connection.execute(
        _habits.delete().where(_habits.c.host == host, _habits.c.hour_of_week == hour_of_week)
    )
    if habits:
        names = [column.name for column in _USED]
        await connection.execute(
            _habits.insert(),
            [
                {
                    "host": host,
                    "hour_of_week": hour_of_week,
                    "tenant": habit.tenant,
                    **dict(zip(names, habit.used, strict=True)),
                    "measured_seconds": habit.measured_seconds,
                    "weeks": habit.weeks,
                    "updated_at": habit.updated_at,
                }
                for habit in habits
            ],
        )
