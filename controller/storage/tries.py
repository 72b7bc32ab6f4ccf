"""What channels said of letters, try by try: of all notices in a letter alike."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema
from controller.storage.told import DeliveryTry

_tries = schema.delivery_tries


async def add(connection: AsyncConnection, tries: Iterable[DeliveryTry]) -> None:
    """Keep them, in their order."""
    for each in tries:
        await connection.execute(
            _tries.insert().values(
                letter=each.letter,
                at=each.at,
                contact=each.contact,
                channel=each.channel,
                outcome=each.outcome,
                answer=each.answer,
            )
        )


async def of_case(connection: AsyncConnection, case_id: str) -> list[DeliveryTry]:
    """All tries of the letters that notices of this case went out in, oldest first."""
    letters = sa.select(schema.notices.c.letter).where(schema.notices.c.case_id == case_id)
    found = await connection.execute(
        sa.select(
            _tries.c.letter,
            _tries.c.at,
            _tries.c.contact,
            _tries.c.channel,
            _tries.c.outcome,
            _tries.c.answer,
        )
        .where(_tries.c.letter.in_(letters))
        .order_by(_tries.c.id)
    )
    return [DeliveryTry(*row) for row in found]
