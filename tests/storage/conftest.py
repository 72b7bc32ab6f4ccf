from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.storage.database import Database


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/fairuse.db"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()
