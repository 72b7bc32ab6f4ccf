"""What is PostgreSQL's alone; all that holds for both databases is tested on both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from controller.storage import switches
from controller.storage.database import Database, StorageError
from tests.postgresql import OWNER, PostgresqlServer, postgresql_server


@pytest.fixture
def hasty() -> Iterator[PostgresqlServer]:
    """A server that was told to acknowledge before anything is on the disk."""
    with postgresql_server(
        synchronous_commit="off", default_transaction_isolation="serializable"
    ) as server:
        yield server


async def test_what_is_acknowledged_is_on_the_disk_whatever_the_servers_default_is(
    hasty: PostgresqlServer,
) -> None:
    database = await Database.open(hasty.url(hasty.create()))
    async with database.write() as connection:
        found = await connection.scalar(sa.text("SHOW synchronous_commit"))
    await database.close()

    assert found == "on"


async def test_a_writer_sees_what_the_one_before_has_left_whatever_the_servers_default_is(
    hasty: PostgresqlServer,
) -> None:
    url = hasty.url(hasty.create())
    one, other = await Database.open(url), await Database.open(url)

    async def count_up(mine: Database) -> None:
        async with mine.write() as connection:
            row = await switches.get(connection, "count")
            count = int(row.value) + 1 if row else 1
            await switches.set(connection, "count", str(count), at=1.0, by="ada")

    await asyncio.gather(*(count_up(mine) for _ in range(10) for mine in (one, other)))
    async with one.read() as connection:
        row = await switches.get(connection, "count")
    await one.close()
    await other.close()

    assert row is not None
    assert row.value == "20"


async def test_a_server_that_was_restarted_is_used_again() -> None:
    with postgresql_server() as server:
        database = await Database.open(server.url(server.create()))
        async with database.write() as connection:
            await switches.set(connection, "paused", "yes", at=1.0, by="ada")
        server.stop()
        with pytest.raises(sa.exc.OperationalError):
            async with database.write() as connection:
                await switches.set(connection, "paused", "no", at=2.0, by="ada")
        server.start()
        async with database.read() as connection:
            row = await switches.get(connection, "paused")
        await database.close()

    assert row == switches.SwitchRow("paused", "yes", 1.0, "ada")


async def test_the_password_is_read_from_its_file_and_never_told(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret:\\%/@\n")
    with postgresql_server() as server:
        name = server.create()
        server.run(f"ALTER ROLE {OWNER} PASSWORD 's3cret:\\%/@'")
        (server.folder / "data/pg_hba.conf").write_text(
            f"local all {OWNER} scram-sha-256\nlocal all all trust\n"
        )
        server.run("SELECT pg_reload_conf()")
        database = await Database.open(server.url(name), str(tmp_path / "password"))
        await database.close()
        (tmp_path / "password").write_text("another\n")

        with pytest.raises(StorageError, match="password authentication failed") as raised:
            await Database.open(server.url(name), str(tmp_path / "password"))

    assert "another" not in str(raised.value)


async def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"storage\.password_file: .*nowhere"):
        await Database.open("postgresql+psycopg://h/d", str(tmp_path / "nowhere"))


async def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened") as raised:
        await Database.open(f"postgresql+psycopg://fairuse:s3cret@/fairuse?host={tmp_path}")

    assert str(tmp_path) in str(raised.value)
    assert "s3cret" not in str(raised.value)
