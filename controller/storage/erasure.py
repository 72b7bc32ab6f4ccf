"""Erasing: what was said of a tenant is taken out of the rows, and out of the file.

The rows stay, because others refer to them and the chain of histories holds them together; what
is left says that something happened on a host at a time, and no more about whom.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema
from controller.storage.cases import ERASED_TENANT
from controller.storage.chain import ERASED

_ERASED_TEXT = ""


async def erase_case(connection: AsyncConnection, case_id: str) -> None:
    """All but the case's own document, which is its owner's to write: its history, notices,
    mails, orders and suspensions. The case has to be closed, or the database refuses it."""
    cases, events = schema.cases, schema.case_events
    await connection.execute(
        cases.update().where(cases.c.id == case_id).values(tenant=ERASED_TENANT)
    )
    await connection.execute(
        events.update().where(events.c.case_id == case_id).values(text=_ERASED_TEXT, salt=b"")
    )
    await connection.execute(
        schema.notices.update()
        .where(schema.notices.c.case_id == case_id)
        .values(
            document=_ERASED_TEXT, answer=_ERASED_TEXT, sent_to=_ERASED_TEXT, bounced=_ERASED_TEXT
        )
    )
    tries = schema.delivery_tries
    letters = sa.select(schema.notices.c.id).where(schema.notices.c.case_id == case_id)
    await connection.execute(
        tries.update().where(tries.c.letter.in_(letters)).values(answer=_ERASED_TEXT)
    )
    mails = schema.mails
    await connection.execute(
        mails.update()
        .where(mails.c.case_id == case_id)
        .values(
            raw=None,
            outcome=sa.func.coalesce(mails.c.outcome, ERASED),
            sender=_ERASED_TEXT,
            subject=_ERASED_TEXT,
            text=_ERASED_TEXT,
        )
    )
    # A reason has to stand where somebody ordered by name (promise 1).
    ordered = {"tenant": ERASED_TENANT, "reason": ERASED}
    await connection.execute(
        schema.orders.update()
        .where(schema.orders.c.case_id == case_id)
        .values(document=_ERASED_TEXT, **ordered)
    )
    await connection.execute(
        schema.suspensions.update().where(schema.suspensions.c.case_id == case_id).values(ordered)
    )


async def delete_tenant(connection: AsyncConnection, tenant: str) -> int:
    """What is known of a tenant beside its cases: agreements, habits, announcements. Returns how
    many rows that were."""
    deleted = 0
    for table in (schema.agreements, schema.habits, schema.announcements):
        done = await connection.execute(table.delete().where(table.c.tenant == tenant))
        deleted += done.rowcount
    return deleted


async def delete_ended(connection: AsyncConnection, before: float) -> int:
    """Agreements that ended, and announcements that were settled, before then. Returns how many."""
    agreements, told = schema.agreements, schema.announcements
    deleted = await connection.execute(
        agreements.delete().where(
            sa.func.coalesce(agreements.c.withdrawn_at, agreements.c.ends_at) < before
        )
    )
    settled = await connection.execute(
        told.delete().where(told.c.next_try_at.is_(None), told.c.queued_at < before)
    )
    return deleted.rowcount + settled.rowcount
