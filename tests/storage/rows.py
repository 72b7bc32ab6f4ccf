"""Rows for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import cases, notices, orders, switches
from controller.storage.database import Database


async def add_case(connection: AsyncConnection, **changes: Any) -> str:
    row: dict[str, Any] = {
        "id": "c1",
        "host": "h1",
        "tenant": "t1",
        "resource": "cpu",
        "state": "watching",
        "opened_at": 100.0,
        "closed_at": None,
        "due_at": None,
        "version": 1,
        "document": "{}",
    }
    await cases.insert(connection, **(row | changes))
    return str((row | changes)["id"])


async def add_notice(connection: AsyncConnection, **changes: Any) -> str:
    row: dict[str, Any] = {
        "id": "n1",
        "case_id": "c1",
        "kind": "first-notice",
        "queued_at": 100.0,
        "document": "{}",
    }
    await notices.queue(connection, **(row | changes))
    return str((row | changes)["id"])


async def issue_order(connection: AsyncConnection, **changes: Any) -> str:
    row: dict[str, Any] = {
        "id": "o1",
        "case_id": "c1",
        "host": "h1",
        "tenant": "t1",
        "resource": "cpu",
        "issued_at": 200.0,
        "lease_until": 300.0,
        "notice_id": None,
        "ordered_by": None,
        "reason": "",
        "document": "{}",
    }
    await orders.issue(connection, **(row | changes))
    return str((row | changes)["id"])


async def count_up(database: Database) -> None:
    """Read a number and store the next: twice the same if two may do so at once."""
    async with database.write() as connection:
        row = await switches.get(connection, "count")
        await asyncio.sleep(0)
        count = int(row.value) + 1 if row else 1
        await switches.set(connection, "count", str(count), at=1.0, by="ada")


async def counted(database: Database) -> int:
    """How often that was done."""
    async with database.read() as connection:
        row = await switches.get(connection, "count")
    return int(row.value) if row else 0
