"""The API over a server of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.cli.served import serve
from tests.web.api import Api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serve(tmp_path) as served, aiohttp.ClientSession() as session:
        api = Api(served, session, tmp_path)
        await api.load_description()
        yield api
