"""What became of a letter, written down with the steps of its cases: all in one transaction.

Each function returns whether it was written: not where another controller has settled one of the
notices meanwhile. Then nothing is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases import lifecycle
from controller.cases.desk import Desk
from controller.contact.delivery import Accepted
from controller.contact.letters import Letter
from controller.contact.notice import Queued
from controller.storage import notices, tries
from controller.storage.told import DeliveryTry


async def accepted(
    desk: Desk, about: Sequence[Queued], said: Accepted, at: float, tried: Iterable[DeliveryTry]
) -> bool:
    """A channel took it: where it is a first notice, the clock of every case in it starts,
    together."""
    begins = about[0].kind == "first-notice"

    async def mark(connection: AsyncConnection, notice: Queued) -> bool:
        return await notices.mark_accepted(
            connection,
            notice.id,
            at=at,
            channel=said.channel,
            answer=said.answer,
            sent_to=said.sent_to,
        )

    return await desk.carry_out_together(
        _case_ids(about),
        lambda case, _: lifecycle.notice_accepted(
            case,
            desk.policy_of(case),
            begins=begins,
            at=at,
            channel=said.channel,
            answer=said.answer,
        ),
        also=_all(about, mark, tried),
    )


async def failed(
    desk: Desk, about: Sequence[Queued], reason: str, now: float, tried: Sequence[DeliveryTry]
) -> bool:
    """No channel will take it."""

    async def mark(connection: AsyncConnection, notice: Queued) -> bool:
        return await notices.mark_failed(
            connection, notice.id, at=now, answer=reason, tried=bool(tried)
        )

    return await desk.carry_out_together(
        _case_ids(about),
        lambda case, _: lifecycle.notice_failed(case, now=now, reason=reason),
        also=_all(about, mark, tried),
    )


async def withheld(desk: Desk, notice: Queued, reason: str, now: float) -> bool:
    """It is not sent, for a reason of our own."""

    async def mark(connection: AsyncConnection, notice: Queued) -> bool:
        return await notices.mark_failed(connection, notice.id, at=now, answer=reason, tried=False)

    return await desk.carry_out_together(
        _case_ids((notice,)),
        lambda case, _: lifecycle.notice_withheld(case, now=now, reason=reason),
        also=_all((notice,), mark, ()),
    )


async def deferred(
    desk: Desk,
    letter: Letter,
    reason: str,
    *,
    now: float,
    until: float,
    tried: Iterable[DeliveryTry],
) -> bool:
    """Not this time. The histories tell of the first time only; `tried` keeps them all."""

    async def mark(connection: AsyncConnection, notice: Queued) -> bool:
        return await notices.mark_retry(connection, notice.id, next_try_at=until, answer=reason)

    return await desk.carry_out_together(
        letter.case_ids if letter.tries == 0 else (),
        lambda case, _: lifecycle.notice_delayed(case, now=now, reason=reason, until=until),
        also=_all(letter.notices, mark, tried),
    )


async def put_off(desk: Desk, about: Sequence[Queued], now: float, until: float) -> bool:
    """It waits for the end of the reader's quiet time."""

    async def put(connection: AsyncConnection) -> bool:
        await notices.put_off(connection, [notice.id for notice in about], now=now, until=until)
        return True

    reason = "It is a quiet time of the contact, and this can wait"
    return await desk.carry_out_together(
        _case_ids(about),
        lambda case, _: lifecycle.notice_delayed(case, now=now, reason=reason, until=until),
        also=put,
    )


def _case_ids(about: Sequence[Queued]) -> list[str]:
    return [notice.document.case.id for notice in about]


def _all(
    about: Sequence[Queued],
    mark: Callable[[AsyncConnection, Queued], Awaitable[bool]],
    tried: Iterable[DeliveryTry],
) -> Callable[[AsyncConnection], Awaitable[bool]]:
    async def mark_all(connection: AsyncConnection) -> bool:
        for notice in about:
            if not await mark(connection, notice):
                return False
        await tries.add(connection, tried)
        return True

    return mark_all
