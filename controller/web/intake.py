"""Group commit: all reports that wait are made durable in one transaction.

A commit costs the disk about as much for one report as for hundreds, so whoever comes while one
is under way waits for the next. What does not fit the queue is refused, which costs nothing: the
agent keeps it in its spool.
"""

from __future__ import annotations

import asyncio

from controller.storage import reports
from controller.storage.database import Database
from controller.storage.reports import ReportRow

QUEUE_LIMIT = 2000
"""Reports that may wait: at 12 kB each, 24 MB; at the aimed rate, half a second."""

WORTH_A_COMMIT = 100
"""A transaction of fewer reports waits for more: each costs 1 to 2 ms of CPU time by itself."""
GATHER_SECONDS = 0.02
"""How long it waits. An agent that reports every ten seconds does not notice."""


class IntakeFull(Exception):
    """More reports wait than can be stored soon."""


class IntakeStopped(Exception):
    """Nothing can be stored any more: the writer has ended."""


class Intake:
    """Stores reports. `run` has to be running for `store` to return."""

    def __init__(self, database: Database, *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._database = database
        self._queue_limit = queue_limit
        self._waiting: list[tuple[ReportRow, asyncio.Future[bool]]] = []
        self._arrived = asyncio.Event()
        self._stopped = False

    async def store(self, row: ReportRow) -> bool:
        """Return once the report is durable: True if it is new, False if it was there before.

        IntakeFull and IntakeStopped mean that it was not stored.
        """
        if self._stopped:
            raise IntakeStopped
        if len(self._waiting) >= self._queue_limit:
            raise IntakeFull
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        self._arrived.set()
        return await done

    async def run(self) -> None:
        """Store what comes until cancelled. An error ends it, and everybody who waits is told."""
        batch: list[tuple[ReportRow, asyncio.Future[bool]]] = []
        try:
            while True:
                await self._arrived.wait()
                if len(self._waiting) < WORTH_A_COMMIT:
                    await asyncio.sleep(GATHER_SECONDS)
                self._arrived.clear()
                batch, self._waiting = self._waiting, []
                await self._commit(batch)
        finally:
            self._stopped = True
            for _, done in (*batch, *self._waiting):
                if not done.done():
                    done.set_exception(IntakeStopped())

    async def _commit(self, batch: list[tuple[ReportRow, asyncio.Future[bool]]]) -> None:
        rows = {row.key: row for row, _ in batch}
        async with self._database.write() as connection:
            new = await reports.append(connection, list(rows.values()))
        for row, done in batch:
            if not done.done():
                # The same report twice in one batch is new once.
                done.set_result(row.key in new)
                new.discard(row.key)
