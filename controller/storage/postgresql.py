"""PostgreSQL: a server that others look after.

A transaction that is acknowledged is on the server's disk (promise 5) unless the server itself runs
without fsync, and writers take turns between programs by an advisory lock. Nothing in what a writer
reads can change before it has written, as with SQLite, so that no statement needs to be thought of
twice.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from controller.storage import turns

_WRITERS_LOCK = 0x66616972757365
"""Any number that no other user of the database locks; this one spells the product's name."""
_CONNECT = {
    "application_name": "fairuse-controller",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    # A server whose machine has gone says nothing: that is known in a minute, and not in hours.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,
}
"""libpq's own names; the last is in milliseconds."""
_PREPARE = (
    # Servers are told to acknowledge early for the sake of others' speed; a report that was
    # acknowledged is not sent again. What else is set there is set here too: a reload of the
    # server's configuration would change it under a connection that lives for weeks.
    "SELECT set_config('synchronous_commit', coalesce("
    "nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)",
    # A server before 12 tells floats with 15 digits, and the times of histories are in digests.
    "SET extra_float_digits = 3",
    # As long as writers wait for each other in SQLite.
    "SET lock_timeout = '10s'",
    # The turn of a controller whose machine has gone is over.
    "SET idle_in_transaction_session_timeout = '5min'",
)


def engine(url: sa.URL) -> AsyncEngine:
    """An engine for this database, which is not connected to yet.

    Raises ValueError for a password in the URL's query, which messages would tell.
    """
    if {"password", "sslpassword"} & url.query.keys():
        raise ValueError("expected the password in storage.password_file, found it in the query")
    made = create_async_engine(
        url,
        pool_size=4,
        max_overflow=0,
        # The server may have been restarted since.
        pool_pre_ping=True,
        connect_args=_CONNECT,
    )
    sa.event.listen(made.sync_engine, "connect", _prepare)
    sa.event.listen(made.sync_engine, "begin", _begin)
    return made


async def check(connection: AsyncConnection) -> None:
    """ValueError unless the database can hold what people are called and write."""
    encoding = await connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise ValueError(f"expected a database whose encoding is UTF8, found {encoding}")


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for statement in _PREPARE:
        cursor.execute(statement)
    cursor.close()
    # What is set in a transaction that is undone is undone with it.
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    if turns.WRITES not in connection.get_execution_options():
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return
    # At this level each statement sees what was there when it began: after the lock, all that the
    # writer before has left. The server's own default may be a stricter one, which would see the
    # moment before.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
