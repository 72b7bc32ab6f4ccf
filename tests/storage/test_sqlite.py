from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.storage import switches
from controller.storage.database import Database, StorageError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/fairuse.db")
    yield opened
    await opened.close()


async def test_what_is_acknowledged_is_on_the_disk_and_references_are_checked(
    database: Database,
) -> None:
    async with database.write() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_the_files_are_readable_by_their_owner_only(
    database: Database, tmp_path: Path
) -> None:
    async with database.write() as connection:
        await switches.set(connection, "paused", "yes", at=1.0, by="ada")

    found = {
        name: stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("fairuse.db", "fairuse.db-wal", "fairuse.db-shm")
    }

    assert set(found.values()) == {0o600}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("sqlite+aiosqlite://", "expected a file", id="in memory"),
        pytest.param("sqlite+aiosqlite:////proc/no/fairuse.db", "/proc/no", id="no directory"),
        pytest.param("sqlite+aiosqlite:////dev/null", "cannot be opened", id="no database"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(url: str, said: str) -> None:
    with pytest.raises(StorageError, match=r"storage\.database") as raised:
        await Database.open(url)

    assert said in str(raised.value)
