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
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "fairuse.db"
        migrate(f"sqlite+aiosqlite:///{file}")
        return file.read_bytes()


def migrate(url: str) -> None:
    """Open and close it once."""
    with ThreadPoolExecutor(1) as elsewhere:
        # A loop may be running here; the other thread has none.
        elsewhere.submit(asyncio.run, _make(url)).result()


async def _make(url: str) -> None:
    made = await Database.open(url)
    await made.close()
