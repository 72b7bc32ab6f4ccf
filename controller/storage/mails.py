"""Mail that came back: kept as it is until it is judged, then what it says, with its case."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema
from controller.storage.told import ReturnedMail

_mails = schema.mails
MOST_OF_A_CASE = 200
"""Programs that answer each other must not fill the disk."""


class UnknownReference(Exception):
    """There is no such case or letter here."""


class TooMany(Exception):
    """The case has as many mails as are kept of one."""


@dataclass(frozen=True)
class MailToJudge:
    """A mail that was taken."""

    id: str
    case_id: str
    letter: str | None
    received_at: float
    raw: bytes


async def take(
    connection: AsyncConnection,
    *,
    id: str,  # noqa: A002 - the column's name
    case_id: str | None,
    letter: str | None,
    received_at: float,
    raw: bytes,
) -> bool:
    """Keep a mail about a case or a letter to be judged.

    False: it was taken before. Raises UnknownReference or TooMany.
    """
    case_id = await _case_of(connection, case_id, letter)
    kept = sa.select(sa.func.count()).where(_mails.c.case_id == case_id)
    if await connection.scalar(sa.select(_mails.c.id).where(_mails.c.id == id)):
        return False
    if (await connection.scalar(kept) or 0) >= MOST_OF_A_CASE:
        raise TooMany(f"case {case_id} has {MOST_OF_A_CASE} mails, and no more are kept of one")
    await connection.execute(
        _mails.insert().values(
            id=id, case_id=case_id, letter=letter, received_at=received_at, raw=raw
        )
    )
    return True


async def to_judge(connection: AsyncConnection, limit: int) -> list[MailToJudge]:
    """Mails that wait, the first received first."""
    found = await connection.execute(
        sa.select(
            _mails.c.id, _mails.c.case_id, _mails.c.letter, _mails.c.received_at, _mails.c.raw
        )
        .where(_mails.c.outcome.is_(None))
        .order_by(_mails.c.received_at, _mails.c.id)
        .limit(limit)
    )
    return [MailToJudge(*row) for row in found]


async def judged(
    connection: AsyncConnection,
    id: str,  # noqa: A002 - the column's name
    *,
    outcome: str,
    sender: str,
    subject: str,
    text: str,
) -> bool:
    """What the mail is and says; from now on nothing else is kept of it. False: it was judged."""
    done = await connection.execute(
        _mails.update()
        .where(_mails.c.id == id, _mails.c.outcome.is_(None))
        .values(outcome=outcome, sender=sender, subject=subject, text=text, raw=None)
    )
    return done.rowcount == 1


async def of_case(connection: AsyncConnection, case_id: str) -> list[ReturnedMail]:
    """What was judged of a case's mails and of its letters', the first received first."""
    letters = sa.select(schema.notices.c.letter).where(schema.notices.c.case_id == case_id)
    found = await connection.execute(
        sa.select(
            _mails.c.id,
            _mails.c.received_at,
            _mails.c.outcome,
            _mails.c.sender,
            _mails.c.subject,
            _mails.c.text,
        )
        .where(
            sa.or_(_mails.c.case_id == case_id, _mails.c.letter.in_(letters)),
            _mails.c.outcome.is_not(None),
        )
        .order_by(_mails.c.received_at, _mails.c.id)
    )
    return [ReturnedMail(*row) for row in found]


async def _case_of(connection: AsyncConnection, case_id: str | None, letter: str | None) -> str:
    notices, cases = schema.notices, schema.cases
    asked = (
        # One that was erased is nobody's: nothing is to be said to it any more.
        sa.select(cases.c.id).where(cases.c.id == case_id, cases.c.tenant != "")
        if letter is None
        else sa.select(notices.c.case_id).where(notices.c.id == letter)
    )
    found: str | None = await connection.scalar(asked)
    if found is None:
        raise UnknownReference(f"there is no case or letter {letter or case_id} in this store")
    return found
