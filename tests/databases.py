"""A database of this version's schema, for each test its own, without migrating for each."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from controller.storage.database import Database


def database_in(directory: Path) -> str:
    """The URL of the database in this folder; a new one is as migrations leave it."""
    file = directory / "fairuse.db"
    if not file.exists():
        file.write_bytes(_migrated())
    return f"sqlite+aiosqlite:///{file}"


@cache
def _migrated() -> bytes:
    """Migrating an empty database takes longer than most tests that need one."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(1) as elsewhere:
        file = Path(directory) / "fairuse.db"
        # A loop may be running here; the other thread has none.
        elsewhere.submit(asyncio.run, _make(f"sqlite+aiosqlite:///{file}")).result()
        return file.read_bytes()


async def _make(url: str) -> None:
    made = await Database.open(url)
    await made.close()
