"""SQLite: one file on the controller's own disk.

A transaction that is acknowledged is on the disk (WAL with synchronous=FULL, promise 5), and
writers take turns between programs by BEGIN IMMEDIATE.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from controller.storage import turns

_PRAGMAS = (
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


def engine(url: sa.URL) -> AsyncEngine:
    """An engine for this file, which is made if it is not there.

    Raises ValueError for a URL without a file, and OSError when it cannot be made.
    """
    _make_private_file(url)
    made = create_async_engine(url, pool_size=4, max_overflow=0)
    sa.event.listen(made.sync_engine, "connect", _prepare)
    sa.event.listen(made.sync_engine, "begin", _begin)
    return made


def _make_private_file(url: sa.URL) -> None:
    """The file is for this user only; SQLite gives its WAL the same mode."""
    if not url.database or url.database == ":memory:":
        raise ValueError(f"expected a file, found {url.render_as_string()}")
    Path(url.database).touch(mode=0o600)


def _prepare(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and not before the first change.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
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


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if turns.NO_TRANSACTION not in options:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if turns.WRITES in options else "BEGIN")
