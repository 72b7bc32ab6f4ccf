"""Tenants that another system has pushed: the newest word on each, and who gave it when."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_pushed = schema.pushed_tenants


@dataclass(frozen=True)
class PushedRow:
    """One tenant as stored. `document` is None for one that was removed."""

    tenant: str
    document: str | None
    revision: int
    """Of the whole table: each change of any tenant has the next."""
    changed_at: float
    changed_by: str


async def since(connection: AsyncConnection, revision: int) -> list[PushedRow]:
    """What has changed after `revision`, in the order of the changes; from 0 on, everything."""
    found = await connection.execute(
        sa.select(_pushed).where(_pushed.c.revision > revision).order_by(_pushed.c.revision)
    )
    return [PushedRow(*row) for row in found]


async def of(connection: AsyncConnection, tenant: str) -> PushedRow | None:
    """What was pushed about one tenant last, if anything ever was."""
    found = await connection.execute(sa.select(_pushed).where(_pushed.c.tenant == tenant))
    row = found.first()
    return None if row is None else PushedRow(*row)


async def store(
    connection: AsyncConnection, documents: dict[str, str | None], *, at: float, by: str
) -> None:
    """Put these documents in place of what there is; None removes the tenant's."""
    if not documents:
        return
    last = await connection.scalar(sa.select(sa.func.max(_pushed.c.revision))) or 0
    await connection.execute(
        _pushed.delete().where(_pushed.c.tenant == sa.bindparam("gone")),
        [{"gone": tenant} for tenant in documents],
    )
    await connection.execute(
        _pushed.insert(),
        [
            {
                "tenant": tenant,
                "document": document,
                "revision": revision,
                "changed_at": at,
                "changed_by": by,
            }
            for revision, (tenant, document) in enumerate(documents.items(), start=last + 1)
        ],
    )
