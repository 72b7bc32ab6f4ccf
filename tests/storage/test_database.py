from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from controller.storage import migrate, switches
from controller.storage.database import Database, StorageError
from controller.storage.schema import metadata
from tests.storage.rows import count_up, counted


@pytest.fixture
async def new_database(new_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(new_database_url)
    yield engine
    await engine.dispose()


async def test_the_migrations_end_at_the_revision_that_the_program_expects() -> None:
    config = Config()
    config.set_main_option("script_location", "controller.storage:migrations")

    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


async def test_the_migrations_make_the_schema_that_the_queries_are_written_for(
    database: Database,
) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_constraint_of_the_schema_is_in_the_migrated_database_too(
    database: Database, new_database: AsyncEngine
) -> None:
    """Alembic's comparison leaves out checks, partial indexes and triggers."""
    async with new_database.begin() as connection:
        await connection.run_sync(metadata.create_all)
        expected = await connection.run_sync(_definitions)

    async with database.read() as connection:
        found = await connection.run_sync(_definitions)

    assert {name: said for name, said in found.items() if "alembic" not in name} == expected


_DEFINITIONS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL",
    "postgresql": """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'trigger ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger
            WHERE NOT tgisinternal
        UNION ALL SELECT 'function ' || proname, pg_get_functiondef(oid) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace
    """,
}


def _definitions(connection: sa.Connection) -> dict[str, list[str]]:
    rows = connection.execute(sa.text(_DEFINITIONS[connection.dialect.name]))
    return {name: sorted(re.findall(r'[^\s,()"]+', sql)) for name, sql in rows}


async def test_a_database_is_opened_again_with_what_it_held(
    database: Database, database_url: str
) -> None:
    async with database.write() as connection:
        await switches.set(connection, "paused", "yes", at=1.0, by="ada")

    again = await Database.open(database_url)
    async with again.read() as connection:
        found = await switches.get(connection, "paused")
    await again.close()

    assert found == switches.SwitchRow("paused", "yes", 1.0, "ada")


async def test_two_programs_may_open_a_new_database_at_once(new_database_url: str) -> None:
    opened = await asyncio.gather(*(Database.open(new_database_url) for _ in range(4)))

    for database in opened:
        await database.close()


async def test_a_transaction_that_raises_leaves_nothing_behind(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as connection:
            await switches.set(connection, "paused", "yes", at=1.0, by="ada")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    async with database.read() as connection:
        assert await switches.get(connection, "paused") is None


async def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    async with database.read() as reader:
        assert await switches.get(reader, "paused") is None
        async with database.write() as writer:
            await switches.set(writer, "paused", "yes", at=1.0, by="ada")
        assert await switches.get(reader, "paused") is None


async def test_writers_of_one_program_take_turns(database: Database) -> None:
    await asyncio.gather(*(count_up(database) for _ in range(20)))

    assert await counted(database) == 20


async def test_writers_of_two_programs_take_turns(database: Database, database_url: str) -> None:
    other = await Database.open(database_url)
    await asyncio.gather(*(count_up(mine) for _ in range(10) for mine in (database, other)))
    await other.close()

    assert await counted(database) == 20


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("nonsense", "expected sqlite+aiosqlite://", id="no URL"),
        pytest.param("oracle://h/d", "found oracle://", id="a database that is not known"),
        pytest.param("sqlite:////tmp/x.db", "found sqlite://", id="another driver"),
        pytest.param("postgresql://h/d", "found postgresql://", id="the usual URL"),
        pytest.param("postgresql+psycopg://u@h:abc/d", "abc", id="a port that is none"),
    ],
)
async def test_a_database_of_no_known_kind_is_refused_with_what_is_expected(
    url: str, said: str
) -> None:
    with pytest.raises(StorageError, match=r"storage\.database") as raised:
        await Database.open(url)

    assert said in str(raised.value)
    assert "postgresql+psycopg://" in str(raised.value)
