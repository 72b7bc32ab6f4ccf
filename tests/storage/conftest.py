from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.storage.database import Database
from tests.databases import database_in


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/fairuse.db"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(database_in(tmp_path))
    yield opened
    await opened.close()
