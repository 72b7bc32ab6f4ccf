"""Everything that is kept of one tenant, put together for the tenant to have.

Times are ISO 8601, UTC. A notice comes with what it told as it stood then; of its case's evidence,
which every notice about it shows again, there is one copy, with the case.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases.limited import LimitedInterval, intervals
from controller.cases.model import Case, NoticeDocument
from controller.cases.record import read_case
from controller.fairshare.agreement import Agreement
from controller.fairshare.sentence import sentence
from controller.storage import (
    announcements,
    cases,
    habits,
    mails,
    notices,
    orders,
    stood,
    suspensions,
    timeline,
    tries,
)
from controller.storage.habits import HabitRow
from controller.storage.notices import NoticeRow
from fairuse_protocol.messages import RESOURCES

Record = dict[str, Any]
"""One thing that is kept, by its fields' names."""

_TIMES = ("at", "deadline", "lease_until")
_EVIDENCE = ("verdict", "rule")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


async def cases_of(connection: AsyncConnection, tenant: str) -> list[Record]:
    """The tenant's cases, newest first, each with all that belongs to it."""
    documents = await cases.recent(connection, tenant=tenant, limit=None)
    return [await _case(connection, read_case(document)) for document in documents]


async def limited_of(
    connection: AsyncConnection, tenant: str, *, now: float
) -> list[LimitedInterval]:
    """When the tenant was limited or suspended, as far as it is kept."""
    return intervals(await stood.between(connection, 0.0, now, tenant), 0.0, now, now=now)


async def announcements_of(connection: AsyncConnection, tenant: str) -> list[Record]:
    """What the tenant was told that is about no case."""
    return _records(await announcements.listed(connection, tenant=tenant), leave_out=("document",))


async def habits_of(connection: AsyncConnection, tenant: str) -> list[Record]:
    """What the tenant uses as a rule, by host and hour of the week."""
    return [_habit(row) for row in await habits.of_tenant(connection, tenant)]


def agreement_records(agreements: Iterable[Agreement]) -> list[Record]:
    """What was agreed with the tenant."""
    return [readable(msgspec.to_builtins(each)) for each in agreements]


def readable(value: Any) -> Any:
    """The same with times that people can read."""
    match value:
        case dict():
            return {name: _told(name, each) for name, each in value.items()}
        case list() | tuple():
            return [readable(each) for each in value]
    return value


async def _case(connection: AsyncConnection, case: Case) -> Record:
    written = await notices.of_case(connection, case.id)
    ordered = await orders.of_case(connection, case.id)
    suspended = await suspensions.of_case(connection, case.id)
    return {
        "sentence": sentence(case.verdict, whose=f"{case.tenant} on {case.host}"),
        **readable(msgspec.to_builtins(case)),
        "history": _records(await timeline.of_case(connection, case.id)),
        "notices": [_notice(row) for row in written],
        "mails": _records(await mails.of_case(connection, case.id)),
        "delivery_tries": _records(await tries.of_case(connection, case.id)),
        "orders": _records(ordered, leave_out=("document",)),
        "suspensions": _records(suspended),
    }


def _notice(row: NoticeRow) -> Record:
    told = msgspec.to_builtins(msgspec.json.decode(row.document, type=NoticeDocument))
    about = {name: each for name, each in told["case"].items() if name not in _EVIDENCE}
    (record,) = _records([row], leave_out=("document",))
    return record | {"told": readable({**told, "case": about})}


def _habit(row: HabitRow) -> Record:
    day, hour = divmod(row.hour_of_week, 24)
    return {
        "host": row.host,
        "weekday": _DAYS[day],
        "hour_utc": hour,
        "used": dict(zip(RESOURCES, row.habit.used, strict=True)),
        "measured_seconds": row.habit.measured_seconds,
        "weeks": row.habit.weeks,
        "updated_at": _iso(row.habit.updated_at),
    }


def _records(rows: Iterable[object], leave_out: tuple[str, ...] = ()) -> list[Record]:
    return [
        readable({name: each for name, each in vars(row).items() if name not in leave_out})
        for row in rows
    ]


def _told(name: str, value: Any) -> Any:
    is_time = name in _TIMES or name.endswith("_at")
    return _iso(value) if is_time and isinstance(value, float | int) else readable(value)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
