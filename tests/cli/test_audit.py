"""The audit from the command line, against the real server and its database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.served import Served, serve
from tests.cli.test_commands import fairuse


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as served:
        await served.notified()
        yield served


async def test_histories_that_nobody_touched_verify_and_their_link_stays_good(
    served: Served,
) -> None:
    shown = await fairuse("audit", "verify", served=served)
    assert (shown.status, shown.err) == (0, "")
    assert "as they were written" in shown.out
    link = shown.out.split()[-1]
    await fairuse("hold", (await served.notified()), "--reason", "look", served=served)
    again = await fairuse("audit", "verify", "--link", link, "--json", served=served)
    assert again.status == 0
    assert again.document["faults"] == []
    assert again.document["link"] != link


async def test_a_changed_line_is_named_with_its_case_and_fails_the_command(served: Served) -> None:
    async with served.world.database.write() as connection:
        await connection.exec_driver_sql("DROP TRIGGER timeline_only_grows")
        await connection.exec_driver_sql("UPDATE case_events SET actor = 'nobody' WHERE id = 1")
    shown = await fairuse("audit", "verify", served=served)
    assert shown.status == 1
    assert "line 1, of case c" in shown.err
    assert "it does not say what was written" in shown.err


async def test_a_link_that_is_none_is_refused_by_name(served: Served) -> None:
    shown = await fairuse("audit", "verify", "--link", "abc", served=served)
    assert shown.status == 1
    assert "link" in shown.err
