"""What is PostgreSQL's alone; all that holds for both databases is tested on both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from controller.storage import audit, switches, timeline
from controller.storage.database import Database, StorageError
from tests.postgresql import OWNER, PostgresqlServer, postgresql_server
from tests.storage.rows import add_case, count_up, counted


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
    await asyncio.gather(*(count_up(mine) for _ in range(10) for mine in (one, other)))
    found = await counted(one)
    await one.close()
    await other.close()

    assert found == 20


async def test_what_is_on_the_disk_stays_so_when_the_server_is_told_otherwise_later() -> None:
    with postgresql_server() as server:
        database = await Database.open(server.url(server.create()))
        server.change("synchronous_commit", "off")
        async with database.write() as connection:
            found = await connection.scalar(sa.text("SHOW synchronous_commit"))
        await database.close()

    assert found == "on"


async def test_a_history_holds_where_the_server_would_tell_times_with_few_digits() -> None:
    with postgresql_server(extra_float_digits="0") as server:
        database = await Database.open(server.url(server.create()))
        async with database.write() as connection:
            await add_case(connection)
            await timeline.add(connection, "c1", [(1764456666.1234567, "opened", "rule", "x")])
        async with database.read() as connection:
            found = await audit.audit(connection)
        await database.close()

    assert (found.lines, found.faults) == (1, [])


async def test_a_server_that_was_restarted_is_used_again() -> None:
    with postgresql_server() as server:
        database = await Database.open(server.url(server.create()))
        async with database.write() as connection:
            await switches.set(connection, "paused", "yes", at=1.0, by="ada")
        server.stop()
        server.start()
        async with database.read() as connection:
            row = await switches.get(connection, "paused")
        await database.close()

    assert row == switches.SwitchRow("paused", "yes", 1.0, "ada")


async def test_a_server_that_is_away_is_an_error_until_it_is_back() -> None:
    with postgresql_server() as server:
        database = await Database.open(server.url(server.create()))
        server.stop()
        with pytest.raises(sa.exc.OperationalError):
            async with database.write() as connection:
                await switches.set(connection, "paused", "no", at=2.0, by="ada")
        server.start()
        async with database.write() as connection:
            assert await switches.get(connection, "paused") is None
        await database.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_database_that_cannot_hold_every_name_is_refused(encoding: str) -> None:
    with postgresql_server() as server:
        server.run(
            f"CREATE DATABASE narrow TEMPLATE template0 ENCODING {encoding} LOCALE 'C'"
            f" OWNER {OWNER}"
        )
        with pytest.raises(StorageError, match=f"UTF8, found {encoding}"):
            await Database.open(server.url("narrow"))


async def test_the_password_is_read_from_its_file_and_never_told(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret:\\%/@\n")
    with postgresql_server() as server:
        name = server.create()
        server.run(f"ALTER ROLE {OWNER} PASSWORD 's3cret:\\%/@'")
        server.stop()
        (server.folder / "data/pg_hba.conf").write_text(
            f"local all {OWNER} scram-sha-256\nlocal all all trust\n"
        )
        server.start()
        database = await Database.open(server.url(name), str(tmp_path / "password"))
        await database.close()
        (tmp_path / "password").write_text("another\n")

        with pytest.raises(StorageError, match="password authentication failed") as raised:
            await Database.open(server.url(name), str(tmp_path / "password"))

    assert "another" not in str(raised.value)


async def test_a_password_that_messages_would_tell_is_refused() -> None:
    with pytest.raises(StorageError, match=r"storage\.password_file") as raised:
        await Database.open("postgresql+psycopg://h/d?password=s3cret")

    assert "s3cret" not in str(raised.value)


async def test_a_password_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"storage\.password_file: .*nowhere"):
        await Database.open("postgresql+psycopg://h/d", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match=r"storage\.password_file: expected none"):
        await Database.open(f"sqlite+aiosqlite:///{tmp_path}/x.db", str(tmp_path / "nowhere"))


async def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened") as raised:
        await Database.open(f"postgresql+psycopg://fairuse:s3cret@/fairuse?host={tmp_path}")

    assert str(tmp_path) in str(raised.value)
    assert "s3cret" not in str(raised.value)
