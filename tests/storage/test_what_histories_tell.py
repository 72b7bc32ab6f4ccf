"""What migration 0007 makes of histories from before it: which limits and suspensions stood."""

from __future__ import annotations

import importlib
import json

import sqlalchemy as sa

from controller.storage import schema, stood, timeline
from controller.storage.database import Database
from tests.storage.rows import add_case, issue_order

migration = importlib.import_module(
    "controller.storage.migrations.versions.0007_limited_intervals_and_erasure"
)


async def history(database: Database, case_id: str, *events: tuple[float, str, str, str]) -> None:
    async with database.write() as connection:
        await timeline.add(connection, case_id, events)


async def test_an_order_is_confirmed_by_its_own_limits_start_and_by_no_other(
    database: Database,
) -> None:
    async with database.write() as connection:
        await add_case(connection)
        for name, issued_at, ended_at in (
            ("refused", 10.0, 15.0),
            ("held", 20.0, 40.0),
            ("stands", 50.0, None),
        ):
            await issue_order(
                connection, id=name, issued_at=issued_at, ordered_by="otto", reason="because"
            )
            orders = schema.orders
            await connection.execute(
                orders.update().where(orders.c.id == name).values(ended_at=ended_at)
            )
    started = [(at, "limit-started", "limiter", "held") for at in (22.0, 51.0, 53.0)]
    await history(database, "c1", *started)
    async with database.write() as connection:
        await connection.run_sync(migration.confirm_orders)
        rows = await connection.execute(sa.select(schema.orders.c.id, schema.orders.c.confirmed_at))
        assert {row[0]: row[1] for row in rows} == {"refused": None, "held": 22.0, "stands": 51.0}


async def test_suspensions_come_out_of_histories_and_the_one_that_stands_out_of_its_case(
    database: Database,
) -> None:
    standing = {"suspension": {"order": "c1-9-suspension", "lease_until": 400.0}}
    async with database.write() as connection:
        await add_case(connection, document=json.dumps(standing))
        await add_case(connection, id="c2", tenant="other")
    await history(
        database,
        "c1",
        (100.0, "suspended", "otto", "a flood"),
        (110.0, "suspension-refused", "limiter", "not here"),
        (200.0, "suspended", "otto", "a flood again"),
        (230.0, "suspension-ended", "clock", "over"),
        (300.0, "suspended", "anna", "and again"),
    )
    await history(
        database,
        "c2",
        (120.0, "suspended", "otto", "a flood"),
        (150.0, "closed-dismissed", "otto", "a mistake"),
    )
    async with database.write() as connection:
        await connection.run_sync(migration.tell_suspensions)
        rows = await stood.between(connection, 0.0, 1000.0)
    told = [(row.tenant, row.ordered_by, row.confirmed_at, row.ended_at) for row in rows]
    assert told == [
        ("other", "otto", 120.0, 150.0),
        ("t1", "otto", 200.0, 230.0),
        ("t1", "anna", 300.0, None),
    ]
    assert (rows[-1].id, rows[-1].lease_until) == ("c1-9-suspension", 400.0)
