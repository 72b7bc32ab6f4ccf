"""Limits and suspensions that truly stood, for accounting: only what a host has confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_orders, _suspensions = schema.orders, schema.suspensions
_WHEN_AND_BY_WHOM = ("ordered_by", "confirmed_at", "ended_at", "lease_until")


@dataclass(frozen=True)
class StoodRow:
    """One limit or suspension that a host has confirmed.

    It stood from `confirmed_at` until `ended_at`, and no longer than `lease_until`.
    """

    id: str
    case_id: str
    tenant: str
    host: str
    resource: str
    """"suspension" for one."""
    ordered_by: str | None
    """None: the rule."""
    confirmed_at: float
    ended_at: float | None
    lease_until: float
    document: str
    """Of an order; empty for a suspension."""


async def between(
    connection: AsyncConnection, start: float, end: float, tenant: str | None = None
) -> list[StoodRow]:
    """All that stood at some time from `start` to `end`, by tenant and time; erased ones not."""
    orders: sa.Select[Any] = sa.select(
        *(_orders.c[name] for name in ("id", "case_id", "tenant", "host", "resource")),
        *(_orders.c[name] for name in _WHEN_AND_BY_WHOM),
        _orders.c.document,
    ).where(*_in_span(_orders, start, end, tenant))
    suspensions: sa.Select[Any] = sa.select(
        *(_suspensions.c[name] for name in ("id", "case_id", "tenant", "host")),
        sa.literal("suspension"),
        *(_suspensions.c[name] for name in _WHEN_AND_BY_WHOM),
        sa.literal(""),
    ).where(*_in_span(_suspensions, start, end, tenant))
    rows = [
        StoodRow(*row)
        for wanted in (orders, suspensions)
        for row in await connection.execute(wanted)
    ]
    return sorted(rows, key=lambda row: (row.tenant, row.confirmed_at, row.id))


def _in_span(
    table: sa.Table, start: float, end: float, tenant: str | None
) -> list[sa.ColumnElement[bool]]:
    conditions = [
        table.c.tenant != "",
        table.c.confirmed_at < end,
        table.c.lease_until > start,
        sa.or_(table.c.ended_at.is_(None), table.c.ended_at > start),
    ]
    return conditions if tenant is None else [*conditions, table.c.tenant == tenant]
