"""Carries mail that was taken to its case: judged once, in one transaction with what it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases import mailed
from controller.cases.desk import Desk
from controller.cases.model import Case, Step
from controller.cases.steps import CaseRefused
from controller.contact.addresses import CaseAddresses
from controller.contact.directory import ContactDirectory
from controller.contact.inbound.judging import (
    AutoReply,
    Bounce,
    Hostile,
    NotOurs,
    OfACase,
    Progress,
    Reply,
    Said,
    judge,
)
from controller.contact.routing import in_order, roles_of, without_addresses
from controller.storage import mails, notices, orders, tries
from controller.storage.database import Database
from controller.storage.mails import MailToJudge
from controller.storage.notices import NoticeRow
from controller.storage.told import DeliveryTry
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 2.0
_AT_A_TIME = 50
_ACCEPTANCE_WITHIN_SECONDS = 600.0
"""How long a bounce waits for its letter's acceptance, which it can overtake, to be recorded."""


@dataclass(frozen=True)
class Filed:
    """A mail's place: the letter's notices, if it is about one, and the cases."""

    mail: MailToJudge
    rows: Sequence[NoticeRow]
    case_ids: Sequence[str]


class Mailroom:
    """Works through the mail that was taken. One pass at a time."""

    def __init__(
        self,
        database: Database,
        desk: Desk,
        directory: ContactDirectory,
        addresses: CaseAddresses,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._desk = desk
        self._directory = directory
        self._addresses = addresses
        self._clock = clock
        self._faulty: set[str] = set()
        """Mail that our own fault keeps from being judged: tried again by the next start."""

    async def run(self) -> None:
        """Judge what comes, for ever."""
        while True:
            try:
                await self.judge_taken()
            except Exception:  # noqa: BLE001 - the store may be away; the mail waits in it
                _log.exception("the mail that came in could not be read; trying again soon")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def judge_taken(self) -> None:
        """One pass over what waits."""
        async with self._database.read() as connection:
            waiting = await mails.to_judge(connection, _AT_A_TIME + len(self._faulty))
        for mail in waiting:
            if mail.id in self._faulty:
                continue
            try:
                await self._judge(mail)
            except CaseRefused as refused:
                _log.info("mail %s waits for the next look: %s", mail.id, refused)
            except Exception:  # noqa: BLE001 - one mail must not keep the others waiting
                _log.exception("mail %s could not be judged, and waits for a restart", mail.id)
                self._faulty.add(mail.id)

    async def _judge(self, mail: MailToJudge) -> None:
        # A tenth of a second for the largest, which the reports coming in should not wait for.
        outcome = await asyncio.to_thread(judge, mail.raw, self._addresses)
        filed = await self._file(mail)
        match outcome:
            case Bounce():
                await self._bounced(filed, outcome)
            case Reply() | AutoReply() | Progress():
                await self._desk.carry_out_together(
                    filed.case_ids,
                    lambda case, now: self._step(case, outcome, now),
                    also=_judged(mail, outcome),
                )
            case NotOurs() | Hostile():
                # Taken with a good signature, and none now: the link secret was replaced.
                await self._set_aside(mail, outcome)

    async def _file(self, mail: MailToJudge) -> Filed:
        if mail.letter is None:
            return Filed(mail, (), (mail.case_id,))
        async with self._database.read() as connection:
            rows = await notices.of_letter(connection, mail.letter)
        cases = dict.fromkeys((mail.case_id, *(row.case_id for row in rows)))
        return Filed(mail, rows, tuple(cases))

    def _step(self, case: Case, outcome: Reply | AutoReply | Progress, now: float) -> Step:
        match outcome:
            case Reply():
                return mailed.replied(case, outcome.said.words, self._desk.policy_of(case), now=now)
            case AutoReply():
                return mailed.auto_replied(case, outcome.why, outcome.said.words, now=now)
            case Progress():
                return mailed.progressed(case, outcome.delayed, outcome.reason, now=now)

    async def _bounced(self, filed: Filed, bounce: Bounce) -> None:
        """Whom the letter did not reach is left out from now on; who else has it, decides."""
        rows, mail = filed.rows, filed.mail
        waited_seconds = self._clock() - mail.received_at
        still_due = any(row.next_try_at is not None for row in rows)
        if still_due and waited_seconds < _ACCEPTANCE_WITHIN_SECONDS:
            return
        accepted = [row for row in rows if row.accepted_at is not None]
        sent_to = {address for row in accepted for address in row.sent_to.split()}
        before = {address for row in accepted for address in row.bounced.split()}
        named = (sent_to | before).intersection(bounce.recipients)
        # A server may name the address that it forwarded to, which does not say whose it was.
        failed = named & sent_to if named else sent_to
        reason = _in_words(bounce, failed)
        if failed <= before:
            # Told twice, or of an acceptance that stands no more.
            await self._desk.carry_out_together(
                filed.case_ids,
                lambda case, now: mailed.bounced_in_part(case, reason, now=now),
                also=_judged(mail, bounce),
            )
            return
        await self._came_back(filed, bounce, accepted, frozenset(failed), reason)

    async def _came_back(
        self,
        filed: Filed,
        bounce: Bounce,
        accepted: Sequence[NoticeRow],
        failed: frozenset[str],
        reason: str,
    ) -> None:
        bounced = failed | {address for row in accepted for address in row.bounced.split()}
        has_it = {address for row in accepted for address in row.sent_to.split()} - bounced
        people = await self._people(filed)
        is_another_way = bool(without_addresses(in_order(people), bounced))
        again = None if has_it else is_another_way
        roles = roles_of(people, failed)
        named = await self._limits_by_name(filed)
        of_case = {row.case_id: row.id for row in accepted}

        def step(case: Case, now: float) -> Step:
            if again is None or case.id not in of_case:
                return mailed.bounced_in_part(case, reason, now=now)
            return mailed.bounced(
                case,
                of_case[case.id],
                reason,
                again=again,
                ordered_by_name=case.id in named,
                now=now,
            )

        async def mark(connection: AsyncConnection) -> bool:
            now = self._clock()
            for row in accepted:
                if not await notices.mark_bounced(
                    connection, row, failed, at=now, again=again, answer=reason
                ):
                    return False
            await tries.add(connection, (_try(filed, accepted, roles, reason, now),))
            return await _judged(filed.mail, bounce)(connection)

        if await self._desk.carry_out_together(filed.case_ids, step, also=mark):
            _log.error("letter %s came back: %s", filed.mail.letter, reason)

    async def _people(self, filed: Filed) -> tuple[TenantContact, ...]:
        case = await self._desk.case(filed.mail.case_id)
        tenant = self._directory.tenant(case.tenant) if case is not None else None
        return tenant.people() if tenant is not None else ()

    async def _limits_by_name(self, filed: Filed) -> set[str]:
        """The cases whose limit an operator ordered."""
        named = set()
        async with self._database.read() as connection:
            for case_id in filed.case_ids:
                case = await self._desk.case(case_id)
                order = case.limit.order if case is not None and case.limit is not None else None
                ordered = await orders.of_case(connection, case_id)
                if any(row.id == order and row.ordered_by is not None for row in ordered):
                    named.add(case_id)
        return named

    async def _set_aside(self, mail: MailToJudge, outcome: NotOurs | Hostile) -> None:
        why = outcome.why if isinstance(outcome, Hostile) else "no address of ours"
        _log.warning("mail %s is refused after all: %s", mail.id, why)
        async with self._database.write() as connection:
            await mails.judged(
                connection, mail.id, outcome="refused", sender="", subject="", text=why
            )


_NAMES: dict[type, str] = {
    Reply: "reply",
    AutoReply: "auto-reply",
    Bounce: "bounce",
}


def _judged(mail: MailToJudge, outcome: OfACase) -> Callable[[AsyncConnection], Awaitable[bool]]:
    """Keep what it says, in the transaction of what it does."""
    said: Said = outcome.said
    if isinstance(outcome, Progress):
        name = "delay" if outcome.delayed else "passed-on"
    else:
        name = _NAMES[type(outcome)]

    async def keep(connection: AsyncConnection) -> bool:
        return await mails.judged(
            connection,
            mail.id,
            outcome=name,
            sender=said.sender,
            subject=said.subject,
            text=said.text,
        )

    return keep


def _try(
    filed: Filed, accepted: Sequence[NoticeRow], roles: Iterable[str], reason: str, now: float
) -> DeliveryTry:
    """`roles` are of the contacts whom it did not reach, as far as they are listed still."""
    return DeliveryTry(
        letter=filed.mail.letter or "",
        at=now,
        contact=", ".join(roles),
        channel=accepted[0].channel or "email",
        outcome="bounced",
        answer=reason,
    )


def _in_words(bounce: Bounce, failed: set[str]) -> str:
    whom = ", ".join(sorted(failed)) or "its recipient"
    return f"{whom}: {bounce.reason or 'sent back without a reason'}"
