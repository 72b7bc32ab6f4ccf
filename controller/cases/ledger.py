"""What is written down: a step goes into the store in one transaction, then into the caches.

What is not stored has not happened. The caches follow the store, and a ledger that is opened
again finds everything there.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases.book import Book, StandingOrder
from controller.cases.model import PAST_ANSWERING, Case, OrderDocument, QueueNotice, Step
from controller.cases.record import StaleCase, read_case, write_step
from controller.cases.rings import Modes
from controller.cases.steps import CaseRefused
from controller.storage import cases, orders
from controller.storage.database import Database
from fairuse_protocol.messages import Resource

_log = logging.getLogger(__name__)


def new_case_id() -> str:
    """Short enough to type, random enough not to be guessed or met twice."""
    return "c" + secrets.token_hex(5)


class UnknownCase(Exception):
    """There is no case with this id."""


class _NotTaken(Exception):
    """Undoes a transaction whose condition did not hold."""


class Ledger:
    """Cases, orders and what is open of them. Its callers take turns."""

    def __init__(self, database: Database, modes: Modes, clock: Callable[[], float]) -> None:
        self._database = database
        self._modes = modes
        self._clock = clock
        self.book = Book()
        self.awaiting_after: dict[str, Case] = {}
        """Closed cases whose limit's effect is still to be measured."""
        self.outbox_changed: Callable[[], None] = lambda: None
        """Called when there is something in the outbox to send, or to leave unsent."""

    async def load(self, *, now: float) -> list[orders.OrderRow]:
        """Fill the caches; returns the orders that stand."""
        async with self._database.read() as connection:
            documents = await cases.open_documents(connection)
            standing = await orders.standing(connection)
        for document in documents:
            case = _readable(document)
            if case is not None:
                # What was measured while nobody looked is not known, and no sign of subsiding.
                self.book.keep(msgspec.structs.replace(case, last_disproportionate_at=now))
        for row in standing:
            self.book.keep_order(_standing(row))
        return standing

    async def take(self, done: Step | None, previous: Case | None) -> None:
        """Store a step if there is one; what only touches the cache is not worth a write."""
        if done is None:
            return
        if previous is not None and done.case.version == previous.version:
            self.book.keep(done.case)
            return
        await self.commit(done, previous)

    async def commit(
        self,
        done: Step,
        previous: Case | None,
        also: Callable[[AsyncConnection], Awaitable[bool]] | None = None,
    ) -> Case:
        taken = await self.commit_together([(done, previous)], also)
        return done.case if taken or previous is None else previous

    async def commit_together(
        self,
        steps: Sequence[tuple[Step, Case | None]],
        also: Callable[[AsyncConnection], Awaitable[bool]] | None = None,
    ) -> bool:
        """Store steps of different cases, each with the version that it follows: all or none.

        Whether they were taken: not when `also`, in the same transaction, returns False.
        """
        try:
            async with self._database.write() as connection:
                if also is not None and not await also(connection):
                    raise _NotTaken
                for done, previous in steps:
                    mode = self._modes.on(done.case.host)
                    await write_step(connection, done, previous, mode=mode, now=self._clock())
        except _NotTaken:
            return False
        except StaleCase as error:
            raise CaseRefused(
                "the case was changed by someone else just now; look again"
            ) from error
        for done, _ in steps:
            self.settle(done)
        return True

    def settle(self, done: Step) -> None:
        """The caches follow what is stored."""
        case = done.case
        self.book.apply(done)
        if case.state == "closed" and case.effect is not None and case.effect.after is None:
            self.awaiting_after[case.id] = case
        else:
            self.awaiting_after.pop(case.id, None)
        for entry in done.entries:
            _log.info(
                "case %s: %s by %s: %s", case.id, entry.event, entry.actor, _one_line(entry.text)
            )
        queued = any(isinstance(each, QueueNotice) for each in done.actions)
        if queued or case.state in PAST_ANSWERING:
            self.outbox_changed()

    async def newest(self, case_id: str) -> Case:
        case = self.book.cases.get(case_id)
        if case is not None:
            return case
        async with self._database.read() as connection:
            document = await cases.document(connection, case_id)
        if document is None:
            raise UnknownCase(f'there is no case "{case_id}"')
        return read_case(document)

    async def last_closed(self, host: str, tenant: str, resource: Resource) -> Case | None:
        async with self._database.read() as connection:
            document = await cases.last_closed_document(connection, host, tenant, resource)
        return None if document is None else read_case(document)


def _standing(row: orders.OrderRow) -> StandingOrder:
    document = msgspec.json.decode(row.document, type=OrderDocument)
    return StandingOrder(
        order=row.id,
        case_id=row.case_id,
        host=row.host,
        tenant=row.tenant,
        resource=msgspec.convert(row.resource, Resource),
        allowance=document.allowance,
        fair_share=document.fair_share,
        lease_until=row.lease_until,
        lease_seconds=row.lease_until - row.issued_at,
    )


def _readable(document: str) -> Case | None:
    """One case out of the store; a damaged one must not keep the others from being run."""
    try:
        return read_case(document)
    except msgspec.DecodeError:
        _log.exception("a case in the store cannot be read and is left alone: %.200s", document)
        return None


def _one_line(text: str) -> str:
    """A customer's own words must not look like lines of the log."""
    return " ".join(text.split())
