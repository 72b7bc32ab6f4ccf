from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.cli.served import Served, serve
from tests.web.pages import Page, read


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as running:
        yield running


async def look(served: Served, *, password: str | None = None) -> Page:
    secret = served.viewer if password is None else password
    login = base64.b64encode(f"anyone:{secret}".encode()).decode()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as session,
        session.get(f"{served.url}/") as response,
    ):
        return await read(response)


async def test_only_those_with_a_token_see_it(served: Served) -> None:
    assert (await look(served, password="wrong")).status == 401
    assert (await look(served)).status == 200


async def test_a_controller_that_nobody_reports_to_says_so(served: Served) -> None:
    page = await look(served)
    assert "No host has reported" in page.text
    assert "mode: enforce" in page.text


async def test_hosts_tenants_and_open_cases_are_shown(served: Served) -> None:
    case_id = await served.notified()
    page = await look(served)
    assert "1 host " in page.text
    assert "4 tenants" in page.text
    assert case_id in page.text
    assert "customer was told" in page.text
    assert "deadline in" in page.text
    assert "Limits standing" not in page.text


async def test_a_standing_limit_is_shown_with_its_end(served: Served) -> None:
    await served.limited()
    page = await look(served)
    assert "Limits standing" in page.text
    assert "limit ends in" in page.text


async def test_a_pause_cannot_be_overlooked(served: Served) -> None:
    await served.world.desk.pause(by="otto", reason="maintenance")
    assert "paused: nothing is limited" in (await look(served)).text


async def test_a_silent_host_is_marked(served: Served) -> None:
    await served.notified()
    served.world.now += 3600
    assert 'class="badge badge-held">heard 1 hour ago' in (await look(served)).html


async def test_the_page_refreshes_itself_and_keeps_to_its_own_policy(served: Served) -> None:
    await served.limited()
    page = await look(served)
    assert '<meta http-equiv="refresh" content="10">' in page.html
    assert page.headers["Cache-Control"] == "no-store"
    assert page.problems == []
    assert page.forms == []
