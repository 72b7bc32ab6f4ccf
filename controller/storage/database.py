"""The database: opened, migrated, and used in short transactions.

On SQLite a transaction that is acknowledged is on the disk (WAL with synchronous=FULL, promise 5),
and writers take their turn: within this program by a lock, between programs by BEGIN IMMEDIATE.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from controller.storage.migrate import migrate

_log = logging.getLogger(__name__)

_SQLITE_PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    # Reports are 5 to 15 kB: with these two, storing one took a third less CPU time than with
    # SQLite's own 4 kB pages and a checkpoint every 4 MB.
    "PRAGMA page_size = 8192",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What is erased is overwritten; many builds of SQLite do so anyway.
    "PRAGMA secure_delete = ON",
)
_WAL_TRIES, _WAL_PAUSE_SECONDS = 250, 0.02
_WRITES = {"fairuse_writes": True}
_NO_TRANSACTION = {"fairuse_no_transaction": True}


class StorageError(Exception):
    """The database cannot be used. The message says which, why and what to do."""


class Database:
    """One database, shared by everything in this program."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._write_engine = engine.execution_options(**_WRITES)
        self._one_writer = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open the database at this SQLAlchemy URL, brought up to this version's schema."""
        database = cls(_engine(url))
        try:
            async with database.write() as connection:
                await connection.run_sync(migrate)
        except (sa.exc.OperationalError, sa.exc.DatabaseError) as error:
            await database.close()
            raise StorageError(
                f"storage.database: {sa.make_url(url).render_as_string()} cannot be opened: "
                f"{error.orig}; expected a database that this user can write to"
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

        While somebody reads or writes that cannot be; the next call takes them with it.
        """
        if self._engine.dialect.name != "sqlite":
            return
        engine = self._engine.execution_options(**_NO_TRANSACTION)
        async with self._one_writer, engine.connect() as connection:
            done = await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = done.one()[0]
        if busy:
            _log.info("pages from before an erasure are still being read; they go with the next")

    async def close(self) -> None:
        """Give back all connections."""
        await self._engine.dispose()


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_async_engine(parsed)
        _make_private_file(parsed)
        engine = create_async_engine(parsed, pool_size=4, max_overflow=0)
    except (sa.exc.ArgumentError, ModuleNotFoundError, OSError) as error:
        raise StorageError(
            f"storage.database: {error}; expected a URL such as "
            "sqlite+aiosqlite:////var/lib/fairuse-controller/fairuse.db"
        ) from error
    sa.event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _make_private_file(url: sa.URL) -> None:
    """The file is for this user only; SQLite gives its WAL the same mode."""
    if not url.database or url.database == ":memory:":
        raise StorageError(
            "storage.database: expected a file, as in sqlite+aiosqlite:////var/lib/NAME.db, "
            f"found {url.render_as_string()}"
        )
    Path(url.database).touch(mode=0o600)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and not before the first change.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    _use_wal(cursor)
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """The change itself does not wait for a lock, whatever busy_timeout says, so two programs
    that open a new file at once would fail. Once made, it stays with the file."""
    for left in reversed(range(_WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if "fairuse_no_transaction" in options:
        return
    writes = "fairuse_writes" in options
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
