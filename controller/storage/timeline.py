"""The histories of cases: lines that are added and never changed, linked in one chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema
from controller.storage.chain import FIRST_LINK, Remains, digest_of, link_after, new_salt
from controller.storage.plain_text import plain

_events = schema.case_events
_AT_A_TIME = 1000


@dataclass(frozen=True)
class EventRow:
    """One line of a case's history."""

    at: float
    event: str
    actor: str
    text: str


@dataclass(frozen=True)
class LinkedRow:
    """One line of any case's history, with what holds it in its place."""

    id: int
    case_id: str
    at: float
    event: str
    actor: str
    text: str
    salt: bytes
    digest: bytes
    link: bytes

    @property
    def is_erased(self) -> bool:
        """Whether nothing can say any more what the line said."""
        return not self.salt and not self.text


async def add(
    connection: AsyncConnection, case_id: str, events: Sequence[tuple[float, str, str, str]]
) -> None:
    """Append lines of (at, event, actor, text) to a case's history, and so to the chain."""
    if not events:
        return
    link = await head(connection)
    rows = []
    for at, event, actor, said in events:
        text = plain(said)
        salt = new_salt()
        digest = digest_of(salt, case_id, at, event, actor, text)
        link = link_after(link, digest)
        row = {"case_id": case_id, "at": at, "event": event, "actor": actor, "text": text}
        rows.append(row | {"salt": salt, "digest": digest, "link": link})
    await connection.execute(_events.insert(), rows)


async def head(connection: AsyncConnection) -> bytes:
    """The newest link."""
    newest = sa.select(_events.c.link).order_by(_events.c.id.desc()).limit(1)
    found: bytes | None = await connection.scalar(newest)
    return FIRST_LINK if found is None else found


async def of_case(connection: AsyncConnection, case_id: str) -> list[EventRow]:
    """A case's history, in the order in which it was written."""
    found = await connection.execute(
        sa.select(_events.c.at, _events.c.event, _events.c.actor, _events.c.text)
        .where(_events.c.case_id == case_id)
        .order_by(_events.c.id)
    )
    return [EventRow(*row) for row in found]


async def remains(connection: AsyncConnection, case_id: str) -> Remains:
    """What will be left of a case's lines once they are erased."""
    left = Remains()
    found = await connection.execute(
        sa.select(_events.c.at, _events.c.event, _events.c.actor, _events.c.digest)
        .where(_events.c.case_id == case_id)
        .order_by(_events.c.id)
    )
    for row in found:
        left.add(*row)
    return left


async def in_order(connection: AsyncConnection) -> AsyncIterator[LinkedRow]:
    """Every line of every case, in the order of the chain."""
    columns = [_events.c[name] for name in LinkedRow.__dataclass_fields__]
    last = 0
    while True:
        found = await connection.execute(
            sa.select(*columns).where(_events.c.id > last).order_by(_events.c.id).limit(_AT_A_TIME)
        )
        rows = [LinkedRow(*row) for row in found]
        for row in rows:
            yield row
        if len(rows) < _AT_A_TIME:
            return
        last = rows[-1].id
