"""Clever Cloud 2.2 on the screen of an operator."""

from __future__ import annotations

from pathlib import Path

from tests.cases.test_habits import case_at_that_hour, hour_passes
from tests.cases.world import CALM
from tests.cli.served import serve
from tests.cli.test_commands import fairuse


async def test_a_case_tells_what_the_tenant_usually_uses_at_that_hour(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        for week in (0, 1):
            await hour_passes(served.world, CALM, week=week)
        await case_at_that_hour(served.world, week=2)
        shown = await fairuse("case", await served.case_id(), served=served)
        asked = await fairuse("case", await served.case_id(), "--json", served=served)
    assert "0.50 cores at this hour of the week" in shown.out
    assert asked.document["case"]["verdict"]["usual_used"] == 0.5
