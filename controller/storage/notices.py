"""The outbox: notices queued with the decision that asks for them, until a channel accepts them.

A notice is in one of three states: due (`next_try_at` is set), accepted, or failed for good. It
goes out in a letter, which may hold others too; which one is decided before the first try, and
stays as decided (promise 5). One that comes back from everybody whom it was accepted for is due or
failed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

_notices, _cases = schema.notices, schema.cases


@dataclass(frozen=True)
class NoticeRow:
    """One notice as stored. `answer` is what the channel said last."""

    id: str
    case_id: str
    kind: str
    queued_at: float
    next_try_at: float | None
    tries: int
    accepted_at: float | None
    failed_at: float | None
    channel: str | None
    answer: str
    document: str
    letter: str | None = None
    """The id of the letter that it goes out in; None: not decided yet, so it was never sent."""
    sending_since: float | None = None
    """When that was decided, moved on by the time in which nothing was to be sent."""
    sent_to: str = ""
    """Mail addresses whose server accepted it, one a line."""
    bounced: str = ""
    """Mail addresses that it came back from, one a line."""


async def queue(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    case_id: str,
    kind: str,
    queued_at: float,
    document: str,
) -> None:
    """Queue a notice, due at once."""
    await connection.execute(
        _notices.insert().values(
            id=id,
            case_id=case_id,
            kind=kind,
            queued_at=queued_at,
            next_try_at=queued_at,
            document=document,
        )
    )


async def due_tenants(connection: AsyncConnection, now: float, limit: int) -> list[str]:
    """The tenants about whom something is to be sent now, the longest due first."""
    found = await connection.execute(
        sa.select(_cases.c.tenant)
        .join(_notices, _cases.c.id == _notices.c.case_id)
        .where(_notices.c.next_try_at <= now)
        .group_by(_cases.c.tenant)
        .order_by(sa.func.min(_notices.c.next_try_at), _cases.c.tenant)
        .limit(limit)
    )
    return list(found.scalars())


async def waiting(connection: AsyncConnection, tenant: str) -> list[NoticeRow]:
    """All notices about one tenant that are not settled, in the order in which they were queued."""
    found = await connection.execute(
        sa.select(_notices)
        .join(_cases, _cases.c.id == _notices.c.case_id)
        .where(_notices.c.next_try_at.is_not(None), _cases.c.tenant == tenant)
        .order_by(_notices.c.queued_at, _notices.c.id)
    )
    return [NoticeRow(*row) for row in found]


async def sent_since(
    connection: AsyncConnection, tenant: str, since: float
) -> dict[tuple[str, str], int]:
    """How many notices about each host and resource of a tenant are on their way, or were
    accepted at `since` or later."""
    found = await connection.execute(
        sa.select(_cases.c.host, _cases.c.resource, sa.func.count())
        .join(_notices, _cases.c.id == _notices.c.case_id)
        .where(
            _cases.c.tenant == tenant,
            sa.or_(
                _notices.c.accepted_at >= since,
                sa.and_(_notices.c.letter.is_not(None), _notices.c.next_try_at.is_not(None)),
            ),
        )
        .group_by(_cases.c.host, _cases.c.resource)
    )
    return {(host, resource): count for host, resource, count in found}


async def letter_of(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
) -> str:
    """The letter that a notice went out in; empty if it is not known or in none."""
    found: str | None = await connection.scalar(
        sa.select(_notices.c.letter).where(_notices.c.id == id)
    )
    return found or ""


async def decide_letter(
    connection: AsyncConnection, ids: Sequence[str], letter: str, at: float
) -> None:
    """These go out together, as `letter`, from now on."""
    await connection.execute(
        _notices.update()
        .where(
            _notices.c.id.in_(ids),
            _notices.c.letter.is_(None),
            _notices.c.next_try_at.is_not(None),
        )
        .values(letter=letter, sending_since=at, next_try_at=at)
    )


async def put_off(
    connection: AsyncConnection, ids: Sequence[str], *, now: float, until: float
) -> None:
    """Nothing is to be sent before `until`; that time does not count against the notices."""
    await connection.execute(
        _notices.update()
        .where(_notices.c.id.in_(ids), _notices.c.next_try_at.is_not(None))
        .values(next_try_at=until, sending_since=_notices.c.sending_since + (until - now))
    )


async def look_again(
    connection: AsyncConnection, case_id: str, kinds: Sequence[str], *, now: float
) -> None:
    """Notices of these kinds that still wait are due now: they may have nothing true to say."""
    await connection.execute(
        _notices.update()
        .where(
            _notices.c.case_id == case_id,
            _notices.c.kind.in_(kinds),
            _notices.c.next_try_at > now,
        )
        .values(next_try_at=now)
    )


async def of_case(connection: AsyncConnection, case_id: str) -> list[NoticeRow]:
    """All notices of one case, in the order in which they were queued."""
    found = await connection.execute(
        sa.select(_notices)
        .where(_notices.c.case_id == case_id)
        .order_by(_notices.c.queued_at, _notices.c.id)
    )
    return [NoticeRow(*row) for row in found]


async def bounced_of(connection: AsyncConnection, case_ids: Sequence[str]) -> frozenset[str]:
    """The addresses that anything about these cases came back from."""
    found = await connection.scalars(
        sa.select(_notices.c.bounced).where(_notices.c.case_id.in_(case_ids))
    )
    return frozenset(address for each in found for address in each.split())


async def of_letter(connection: AsyncConnection, letter: str) -> list[NoticeRow]:
    """All notices in one letter, in the order in which they were queued."""
    found = await connection.execute(
        sa.select(_notices)
        .where(_notices.c.letter == letter)
        .order_by(_notices.c.queued_at, _notices.c.id)
    )
    return [NoticeRow(*row) for row in found]


async def waiting_of(connection: AsyncConnection, case_ids: Sequence[str]) -> list[str]:
    """The ids of these cases' notices that are still to be sent."""
    found = await connection.scalars(
        sa.select(_notices.c.id).where(
            _notices.c.case_id.in_(case_ids), _notices.c.next_try_at.is_not(None)
        )
    )
    return list(found)


async def mark_accepted(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    at: float,
    channel: str,
    answer: str,
    sent_to: Sequence[str] = (),
) -> bool:
    """A channel took it, if by mail for `sent_to`. False, and no change, if it was not waiting."""
    return await _settle(
        connection,
        id,
        next_try_at=None,
        accepted_at=at,
        channel=channel,
        answer=answer,
        sent_to="\n".join(sent_to),
    )


async def mark_bounced(
    connection: AsyncConnection,
    row: NoticeRow,
    addresses: Iterable[str],
    *,
    at: float,
    again: bool | None,
    answer: str,
) -> bool:
    """An accepted notice came back from these addresses.

    `again`: it reached nobody, and is due once more (True) or failed (False); None: somebody has
    it. False is returned, and nothing changed, if it is not as `row` has it any more.
    """
    values: dict[str, object] = {"bounced": "\n".join(sorted({*row.bounced.split(), *addresses}))}
    if again is not None:
        values |= {"accepted_at": None, "channel": None, "sent_to": "", "answer": answer}
        values |= {"next_try_at": at, "sending_since": at} if again else {"failed_at": at}
    done = await connection.execute(
        _notices.update()
        .where(
            _notices.c.id == row.id,
            _notices.c.accepted_at == row.accepted_at,
            _notices.c.bounced == row.bounced,
        )
        .values(**values)
    )
    return done.rowcount == 1


async def mark_failed(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    at: float,
    answer: str,
    tried: bool = True,
) -> bool:
    """It is not sent any more. False, and no change, if the notice was not waiting any more."""
    return await _settle(connection, id, tried=tried, next_try_at=None, failed_at=at, answer=answer)


async def mark_retry(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    next_try_at: float,
    answer: str,
) -> bool:
    """Not this time; try again then. False, and no change, if it was not waiting any more."""
    return await _settle(connection, id, next_try_at=next_try_at, answer=answer)


async def _settle(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    tried: bool = True,
    **values: object,
) -> bool:
    done = await connection.execute(
        _notices.update()
        .where(_notices.c.id == id, _notices.c.next_try_at.is_not(None))
        .values(tries=_notices.c.tries + int(tried), **values)
    )
    return done.rowcount == 1
