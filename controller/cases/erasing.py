"""Erasing what was said of tenants: when it is old enough, or when an operator says so.

A closed case goes to nobody: the tenant's name, texts, notices and evidence are taken out, and a
line that tells of it is added to its history, so that the chain of all histories still holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases.desk import Desk
from controller.cases.model import Case, Step, TimelineEntry
from controller.cases.steps import CaseRefused, step
from controller.storage import cases, erasure, notices, timeline
from controller.storage.cases import ERASED_TENANT
from controller.storage.chain import ERASED, Remains
from controller.storage.database import Database

_log = logging.getLogger(__name__)

_AT_A_TIME = 20
"""Cases a pass: reports that come in meanwhile wait for one transaction each at most."""
RETENTION = "retention"
"""Who erases what is old."""


@dataclass(frozen=True)
class Erased:
    """What was erased."""

    cases: int
    others: int
    """Agreements, habits and announcements."""


def erase(case: Case, remains: Remains, *, now: float, by: str, reason: str) -> Step:
    """The case without whose it was; what stays is where, when and how it went."""
    if case.state != "closed":
        raise CaseRefused(f"case {case.id} is {case.state}; only a closed one can be erased")
    if case.is_erased:
        raise CaseRefused(f"case {case.id} is erased already")
    entry = TimelineEntry(at=now, event=ERASED, actor=by, text=remains.told(reason))
    return step(
        case,
        entry,
        tenant=ERASED_TENANT,
        verdict=msgspec.structs.replace(case.verdict, samples=(), usual_used=None),
        held_because="",
        answers=(),
        requests=(),
        dispute_decision=None,
        effect=None,
        repeat_of="",
    )


class Eraser:
    """Erases cases through the desk, so that each takes its turn."""

    def __init__(self, database: Database, desk: Desk, clock: Callable[[], float]) -> None:
        self._database = database
        self._desk = desk
        self._clock = clock

    async def forget(self, tenant: str, *, by: str, reason: str) -> Erased:
        """Everything about a tenant. CaseRefused while a case is open or a notice on its way."""
        async with self._database.read() as connection:
            still_open = await cases.open_of_tenant(connection, tenant)
            closed = await cases.closed_of_tenant(connection, tenant)
            waiting = await notices.waiting_of(connection, closed)
        if still_open or waiting:
            raise CaseRefused(_why_not(still_open, waiting))
        for case_id in closed:
            await self._erase(case_id, by, reason)
        async with self._database.write() as connection:
            others = await erasure.delete_tenant(connection, tenant)
        await self._desk.agreements.load()
        await self._database.drop_old_pages()
        _log.warning("%d cases of a tenant were erased by %s: %s", len(closed), by, reason)
        return Erased(len(closed), others)

    async def erase_old(self, keep_seconds: float, reason: str) -> Erased:
        """Some of what ended longer than `keep_seconds` ago; call again until nothing is left.

        A case that cannot be erased is logged and left for the next time.
        """
        before = self._clock() - keep_seconds
        async with self._database.read() as connection:
            old = await cases.closed_before(connection, before, _AT_A_TIME)
        done = [case_id for case_id in old if await self._could_erase(case_id, reason)]
        async with self._database.write() as connection:
            others = await erasure.delete_ended(connection, before)
        if others:
            await self._desk.agreements.load()
        if done or others:
            await self._database.drop_old_pages()
            _log.info("erased %d cases and %d other records: %s", len(done), others, reason)
        return Erased(len(done), others)

    async def _could_erase(self, case_id: str, reason: str) -> bool:
        try:
            await self._erase(case_id, RETENTION, reason)
        except (CaseRefused, msgspec.DecodeError):
            _log.exception("case %s could not be erased", case_id)
            return False
        return True

    async def _erase(self, case_id: str, by: str, reason: str) -> None:
        async with self._database.read() as connection:
            remains = await timeline.remains(connection, case_id)

        async def rows(connection: AsyncConnection) -> bool:
            newest = await timeline.remains(connection, case_id)
            if newest.lines != remains.lines:
                raise CaseRefused(f"case {case_id} was changed just now; try again")
            await erasure.erase_case(connection, case_id)
            return True

        await self._desk.carry_out(
            case_id,
            lambda case, now: erase(case, remains, now=now, by=by, reason=reason),
            also=rows,
        )


def _why_not(still_open: list[str], waiting: list[str]) -> str:
    if still_open:
        listed = ", ".join(still_open)
        return f"expected a tenant without an open case, found {listed}; close it first"
    listed = ", ".join(waiting)
    return f"a notice is still on its way ({listed}); try again once it is sent or given up"
