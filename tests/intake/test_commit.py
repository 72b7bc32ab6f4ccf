from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage.database import Database
from controller.storage.reports import ReportRow
from controller.web.intake import Intake, IntakeFull, IntakeStopped
from tests.databases import database_in
from tests.intake.serving import Server, body_of


def _row(sequence: int) -> ReportRow:
    return ReportRow("h1", "s", sequence, 1.0, b"x")


class CountingDatabase(Database):
    """The real database, which counts its transactions."""

    transactions = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as connection:
            self.transactions += 1
            yield connection


async def _opened(directory: Path) -> CountingDatabase:
    database = await CountingDatabase.open(database_in(directory))
    assert isinstance(database, CountingDatabase)
    database.transactions = 0
    return database


async def test_reports_that_wait_together_share_a_transaction(tmp_path: Path) -> None:
    database = await _opened(tmp_path)
    intake = Intake(database)
    writer = asyncio.create_task(intake.run())

    async with database.write():
        # The writer takes the first report in hand, and waits for its turn to write.
        waiting = [asyncio.create_task(intake.store(_row(0)))]
        await asyncio.sleep(0.05)
        waiting += [asyncio.create_task(intake.store(_row(number))) for number in range(1, 100)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)

    assert all(await asyncio.gather(*waiting))
    assert database.transactions == 1 + 2
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await database.close()


async def test_a_full_queue_refuses_and_takes_again_when_it_has_room(tmp_path: Path) -> None:
    database = await _opened(tmp_path)
    intake = Intake(database, queue_limit=2)
    waiting = [asyncio.create_task(intake.store(_row(number))) for number in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(IntakeFull):
        await intake.store(_row(2))

    writer = asyncio.create_task(intake.run())
    assert await asyncio.gather(*waiting) == [True, True]
    assert await intake.store(_row(2))
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await database.close()


async def test_whoever_waits_is_told_when_the_writer_dies(tmp_path: Path) -> None:
    database = await _opened(tmp_path)
    async with database.write() as connection:
        await connection.execute(sa.text("DROP TABLE reports"))
    intake = Intake(database)
    waiting = [asyncio.create_task(intake.store(_row(number))) for number in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(sa.exc.OperationalError):
        await intake.run()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [IntakeStopped] * 3
    with pytest.raises(IntakeStopped):
        await intake.store(_row(9))
    await database.close()


async def test_a_report_that_cannot_be_stored_now_is_to_be_sent_again(server: Server) -> None:
    credential = await server.enrol("h1")
    server.writer.cancel()
    await asyncio.gather(server.writer, return_exceptions=True)

    answer = await server.send(credential, body_of("h1"))

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert server.observed == []
