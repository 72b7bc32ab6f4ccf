"""The database: opened, migrated, and used in short transactions.

Writers take their turn: within this program by a lock, between programs by the database's own
means. What a transaction has acknowledged is durable (promise 5); see `sqlite` and `postgresql`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from controller.storage import postgresql, sqlite, turns
from controller.storage.migrate import migrate

_log = logging.getLogger(__name__)

_MAKERS = {"sqlite+aiosqlite": sqlite.engine, "postgresql+psycopg": postgresql.engine}
_EXPECTED = (
    "expected sqlite+aiosqlite:////var/lib/fairuse-controller/fairuse.db, or as "
    "postgresql+psycopg://fairuse@db.example.com/fairuse"
)


class StorageError(Exception):
    """The database cannot be used. The message says which, why and what to do."""


class Database:
    """One database, shared by everything in this program."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._write_engine = engine.execution_options(**{turns.WRITES: True})
        self._one_writer = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, password_file: str = "") -> Database:
        """Open the database at this SQLAlchemy URL, brought up to this version's schema.

        The password that `password_file` holds, if there is one, is used instead of the URL's.
        """
        parsed = _parsed(url, password_file)
        database = cls(_engine(parsed))
        try:
            async with database.write() as connection:
                if connection.dialect.name == "postgresql":
                    await postgresql.check(connection)
                await connection.run_sync(migrate)
        except (sa.exc.DatabaseError, ValueError) as error:
            await database.close()
            raise StorageError(
                f"storage.database: {parsed.render_as_string()}: {_why(error)}"
            ) from error
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one moment of the database. Changes made in it are undone."""
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: durable when the block ends, undone when it raises."""
        async with (
            self._one_writer,
            self._write_engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    async def drop_old_pages(self) -> None:
        """Take pages as they were before out of SQLite's log, where what was erased still stands.

        While somebody reads or writes that cannot be; the next call takes them with it. PostgreSQL
        vacuums by itself.
        """
        if self._engine.dialect.name != "sqlite":
            return
        engine = self._engine.execution_options(**{turns.NO_TRANSACTION: True})
        async with self._one_writer, engine.connect() as connection:
            done = await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = done.one()[0]
        if busy:
            _log.info("pages from before an erasure are still being read; they go with the next")

    async def close(self) -> None:
        """Give back all connections."""
        await self._engine.dispose()


def _parsed(url: str, password_file: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StorageError(f"storage.database: {error}; {_EXPECTED}") from error
    if not password_file:
        return parsed
    if parsed.get_backend_name() == "sqlite":
        raise StorageError("storage.password_file: expected none, for SQLite asks for no password")
    try:
        password = Path(password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"storage.password_file: {error}") from error
    return parsed.set(password=password)


def _why(error: sa.exc.DatabaseError | ValueError) -> str:
    if isinstance(error, ValueError):
        return str(error)
    said = str(error.orig).strip()
    return f"cannot be opened: {said}; expected a database that this user can write to"


def _engine(url: sa.URL) -> AsyncEngine:
    make = _MAKERS.get(url.drivername)
    if make is None:
        raise StorageError(f"storage.database: found {url.drivername}://; {_EXPECTED}")
    try:
        return make(url)
    except ModuleNotFoundError as error:
        raise StorageError(
            "storage.database: expected psycopg, found none; install fairuse[postgresql]"
        ) from error
    except (sa.exc.ArgumentError, ValueError, OSError) as error:
        raise StorageError(f"storage.database: {error}; {_EXPECTED}") from error
