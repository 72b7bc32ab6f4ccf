"""The API, and a customer with a case, each over a server of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from controller.contact.links import CustomerLinks
from tests.cli.served import serve
from tests.web.api import Api
from tests.web.customers import Customer


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serve(tmp_path) as served, aiohttp.ClientSession() as session:
        api = Api(served, session, tmp_path)
        await api.load_description()
        yield api


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:
    async with serve(tmp_path) as served, aiohttp.ClientSession() as session:
        secret = (tmp_path / "link-secret").read_bytes()
        links = CustomerLinks(secret, served.url, lambda: served.world.now)
        found = Customer(served, session, links)
        found.case_id = await served.notified()
        yield found


@pytest.fixture
async def danish(customer: Customer, tmp_path: Path) -> Customer:
    (tmp_path / "tenants.toml").write_text('[tenants.hog]\nlanguage = "da"\n')
    return customer
