from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller.storage.database import Database
from tests.databases import database_in, migrate
from tests.postgresql import PostgresqlServer, postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgresql: PostgresqlServer) -> str:
    """The name of a database as migrations leave it."""
    name = postgresql.create()
    migrate(postgresql.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """What holds for one holds for the other."""
    return str(request.param)


@pytest.fixture
def new_database_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that nothing was ever in."""
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/new.db"
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.url(server.create())


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of the database that the test has open, or would open."""
    if kind == "sqlite":
        return database_in(tmp_path)
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.url(server.create(template=request.getfixturevalue("migrated")))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()
