"""One case in a real database, a real desk, the outbox's sender and the mailroom over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases.desk import Desk
from controller.cases.lifecycle import open_case, see_verdict
from controller.cases.model import Case, OrderLimit, Step, TimelineEntry
from controller.cases.policies import OnePolicy
from controller.cases.record import write_step
from controller.cases.rings import Modes
from controller.contact.delivery import Accepted, Channel
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import Dispatcher
from controller.contact.inbound.mailroom import Mailroom
from controller.contact.inbound.taking import Taking, take
from controller.contact.notice import RenderedNotice
from controller.contact.postman import Postman
from controller.fairshare.policy import Policy
from controller.settings import Contact
from controller.storage import mails, notices
from controller.storage.database import Database
from controller.storage.told import ReturnedMail
from controller.tenants import TenantContact
from fairuse_protocol.messages import Allowance
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.databases import database_in
from tests.mail.letters import ADDRESSES

NOW = samples.NOW
POLICY = Policy()
SETTINGS = Contact(group_interval=Duration(0), retry_for=Duration(3600))
ANNA = '[[tenants.web-042.contacts]]\nemail = ["anna@example.org"]\n'
BO = '[[tenants.web-042.contacts]]\nrole = "abuse"\nemail = ["bo@example.org"]\n'
BOTH_AT_ONCE = '[[tenants.web-042.contacts]]\nemail = ["Anna@example.org", "bo@example.org"]\n'
THEN_WEBHOOK = ANNA + 'channels = ["email", "webhook"]\n'


class Takes:
    """A channel that accepts everything, for the contact's addresses if it is mail."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.letters: list[tuple[str, tuple[str, ...]]] = []

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Accepted:
        to = tuple(each.lower() for each in contact.email) if self.name == "email" else ()
        self.letters.append((notice.id, to))
        return Accepted(self.name, "250 taken", to)

    async def close(self) -> None:
        pass


class Office:
    """What the controller runs, with a clock that is set."""

    def __init__(self, database: Database, contacts: Path, channels: Sequence[Channel]) -> None:
        self.now = NOW
        self.database = database
        directory = ContactDirectory(contacts)
        clock = lambda: self.now  # noqa: E731 - shorter than a function of its own
        self.desk = Desk(database, OnePolicy(POLICY), Modes("enforce"), clock)
        postman = Postman(channels, samples.terms(), next_contact_after=600)
        self.dispatcher = Dispatcher(database, self.desk, postman, directory, SETTINGS, clock=clock)
        self.mailroom = Mailroom(database, self.desk, directory, ADDRESSES, clock)

    async def send(self, now: float | None = None) -> None:
        self.now = self.now if now is None else now
        await self.dispatcher.send_due(self.now)

    async def receive(self, raw: bytes) -> Taking:
        """As the pipe or the mailbox hands it over, and the next look at it."""
        taken = await take(self.database, ADDRESSES, raw, self.now)
        await self.mailroom.judge_taken()
        return taken

    async def case(self, case_id: str = samples.CASE_ID) -> Case:
        case = await self.desk.case(case_id)
        assert case is not None
        return case

    async def events(self, case_id: str = samples.CASE_ID) -> list[str]:
        return [entry.event for entry in await self.desk.timeline(case_id)]

    async def told(self, event: str) -> str:
        entries = await self.desk.timeline(samples.CASE_ID)
        return next(entry.text for entry in reversed(entries) if entry.event == event)

    async def mails(self, case_id: str = samples.CASE_ID) -> list[ReturnedMail]:
        async with self.database.read() as connection:
            return await mails.of_case(connection, case_id)

    async def notice(self) -> notices.NoticeRow:
        async with self.database.read() as connection:
            row, *_ = await notices.of_case(connection, samples.CASE_ID)
        return row

    async def limit(self, *, by: str | None = None) -> None:
        """A limit that stands, after the deadline or by an operator's order."""
        limit = samples.limit()

        def ordered(case: Case, now: float) -> Step:
            order = OrderLimit(
                order=limit.order,
                allowance=Allowance(cores=limit.allowance),
                fair_share=Allowance(cores=limit.fair_share),
                lease_until=limit.lease_until,
                notice=None if by else case.notice,
                ordered_by=by,
                reason="the deadline passed",
                evidence=case.verdict,
                rule={},
            )
            limited = msgspec.structs.replace(
                case, state="limited", limit=limit, version=case.version + 1
            )
            entry = TimelineEntry(at=now, event="limit-ordered", actor="rule", text="ordered")
            return Step(case=limited, entries=(entry,), actions=(order,))

        await self.desk.carry_out(samples.CASE_ID, ordered)


@asynccontextmanager
async def office(
    folder: Path, contacts: str = ANNA, *channels: Channel, cases: Sequence[str] = ()
) -> AsyncIterator[Office]:
    """With a first notice about a case queued, and about each of `cases` on other hosts."""
    (folder / "tenants.toml").write_text(contacts)
    database = await Database.open(database_in(folder))
    try:
        async with database.write() as connection:
            for number, case_id in enumerate((samples.CASE_ID, *cases), 17):
                await _open_case(connection, case_id, f"node-{number}")
    finally:
        await database.close()
    async with reopened(folder, *channels) as made:
        yield made


@asynccontextmanager
async def reopened(folder: Path, *channels: Channel) -> AsyncIterator[Office]:
    """The office over a store that is there already."""
    database = await Database.open(database_in(folder))
    try:
        listed = folder / "tenants.toml"
        made = Office(database, listed, channels or (Takes("email"), Takes("webhook")))
        await made.desk.start()
        yield made
    finally:
        await database.close()


async def _open_case(connection: AsyncConnection, case_id: str, host: str) -> None:
    verdict = samples.verdict()
    opened = open_case(case_id, host, "web-042", verdict, POLICY, None)
    queued = see_verdict(opened.case, verdict, POLICY, "enforce")
    assert queued is not None
    await write_step(connection, opened, None, mode="enforce", now=NOW)
    await write_step(connection, queued, opened.case, mode="enforce", now=NOW)
