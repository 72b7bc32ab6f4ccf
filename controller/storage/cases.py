"""Cases. A case is kept as the document that its owner, the desk, writes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_cases, _notices = schema.cases, schema.notices
ERASED_TENANT = ""
"""Whose a case is that was erased: nobody's any more."""


async def insert(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    host: str,
    tenant: str,
    resource: str,
    state: str,
    opened_at: float,
    closed_at: float | None,
    due_at: float | None,
    version: int,
    document: str,
) -> None:
    """Add a case; IntegrityError if one is open for this tenant, host and resource."""
    await connection.execute(
        _cases.insert().values(
            id=id,
            host=host,
            tenant=tenant,
            resource=resource,
            state=state,
            opened_at=opened_at,
            closed_at=closed_at,
            due_at=due_at,
            version=version,
            document=document,
        )
    )


async def update(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    expected_version: int,
    state: str,
    closed_at: float | None,
    due_at: float | None,
    version: int,
    document: str,
) -> bool:
    """Replace a case's document. False, and no change: another step came first."""
    done = await connection.execute(
        _cases.update()
        .where(_cases.c.id == id, _cases.c.version == expected_version)
        .values(state=state, closed_at=closed_at, due_at=due_at, version=version, document=document)
    )
    return done.rowcount == 1


async def document(connection: AsyncConnection, case_id: str) -> str | None:
    """One case's document; None if there is no such case."""
    return await connection.scalar(sa.select(_cases.c.document).where(_cases.c.id == case_id))


async def open_documents(connection: AsyncConnection) -> list[str]:
    """The documents of all cases that are not closed, oldest first."""
    found = await connection.scalars(
        sa.select(_cases.c.document)
        .where(_cases.c.state != "closed")
        .order_by(_cases.c.opened_at, _cases.c.id)
    )
    return list(found)


async def last_closed_document(
    connection: AsyncConnection, host: str, tenant: str, resource: str
) -> str | None:
    """The document of the case about these three that closed last, if any."""
    return await connection.scalar(
        sa.select(_cases.c.document)
        .where(
            _cases.c.host == host,
            _cases.c.tenant == tenant,
            _cases.c.resource == resource,
            _cases.c.state == "closed",
        )
        .order_by(_cases.c.closed_at.desc())
        .limit(1)
    )


async def recent(
    connection: AsyncConnection,
    *,
    state: str | None = None,
    host: str | None = None,
    tenant: str | None = None,
    limit: int | None = 100,
) -> list[str]:
    """The documents of the newest cases, newest first, of those that match all that is given.

    Those that are erased are not listed.
    """
    wanted = sa.select(_cases.c.document).where(_cases.c.tenant != ERASED_TENANT)
    for column, value in (
        (_cases.c.state, state),
        (_cases.c.host, host),
        (_cases.c.tenant, tenant),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    wanted = wanted.order_by(_cases.c.opened_at.desc(), _cases.c.id.desc()).limit(limit)
    return list(await connection.scalars(wanted))


async def open_of_tenant(connection: AsyncConnection, tenant: str) -> list[str]:
    """The ids of the tenant's cases that are not closed."""
    found = await connection.scalars(
        sa.select(_cases.c.id).where(_cases.c.tenant == tenant, _cases.c.state != "closed")
    )
    return list(found)


async def closed_of_tenant(connection: AsyncConnection, tenant: str) -> list[str]:
    """The ids of the tenant's closed cases."""
    found = await connection.scalars(
        sa.select(_cases.c.id).where(_cases.c.tenant == tenant, _cases.c.state == "closed")
    )
    return list(found)


async def closed_before(connection: AsyncConnection, before: float, limit: int) -> list[str]:
    """The ids of cases that closed before then and are not erased, the oldest first.

    Those of which a notice is still to be sent are not among them.
    """
    waiting = sa.exists().where(
        _notices.c.case_id == _cases.c.id, _notices.c.next_try_at.is_not(None)
    )
    found = await connection.scalars(
        sa.select(_cases.c.id)
        .where(_cases.c.closed_at < before, _cases.c.tenant != ERASED_TENANT, ~waiting)
        .order_by(_cases.c.closed_at)
        .limit(limit)
    )
    return list(found)
