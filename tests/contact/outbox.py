"""One queued first notice, a desk and a dispatcher over it, and channels that answer as told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from controller.cases.desk import Desk
from controller.cases.lifecycle import open_case, see_verdict
from controller.cases.model import Case
from controller.cases.policies import OnePolicy
from controller.cases.record import write_step
from controller.cases.rings import Modes
from controller.contact.delivery import Accepted, Channel, Outcome, Refused
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import Dispatcher
from controller.contact.notice import RenderedNotice
from controller.contact.postman import Postman
from controller.fairshare.policy import Policy
from controller.settings import Contact, Mode
from controller.storage import notices
from controller.storage.database import Database
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.databases import database_in

NOW = samples.NOW
RETRY_FOR = 3600.0
SETTINGS = Contact(
    retry_for=Duration(RETRY_FOR),
    next_contact_after=Duration(600),
    group_interval=Duration(0),
    most_a_day=10,
)
MAIL = '[[tenants.web-042.contacts]]\nemail = ["anna@example.org"]\n'
BOTH = MAIL + 'channels = ["email", "webhook"]\n'


QUIET = MAIL + 'quiet_hours = "13:00-15:00"\n'
THREE = """
[[tenants.web-042.contacts]]
role = "billing"
email = ["bill@example.org"]
[[tenants.web-042.contacts]]
role = "abuse"
email = ["abuse@example.org"]
[[tenants.web-042.contacts]]
email = ["anna@example.org"]
"""


class Told:
    """A channel that answers as told and keeps the ids that it was given."""

    def __init__(self, name: str, *answers: Outcome) -> None:
        self.name = name
        self.answers = list(answers)
        self.ids: list[str] = []

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        self.ids.append(notice.id)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def close(self) -> None:
        pass


class Mailboxes(Told):
    """A mail server that answers by the mailbox."""

    def __init__(self, **answers: Outcome) -> None:
        super().__init__("email")
        self.by_name = answers
        self.asked: list[str] = []

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        self.asked.append(contact.email[0].partition("@")[0])
        return self.by_name[self.asked[-1]]


def accepts(name: str) -> Told:
    return Told(name, Accepted(name, "250 taken"))


def refuses(name: str, *, for_good: bool) -> Told:
    return Told(name, Refused(name, "no", for_good))


class Outbox:
    """One queued first notice in a real database, a real desk, and a dispatcher over it."""

    def __init__(self, database: Database, desk: Desk, directory: ContactDirectory) -> None:
        self.database = database
        self.desk = desk
        self.directory = directory
        self.settings = SETTINGS
        self.now = NOW

    def dispatcher(self, *channels: Channel) -> Dispatcher:
        postman = Postman(
            channels, samples.terms(), next_contact_after=self.settings.next_contact_after
        )
        return Dispatcher(
            self.database,
            self.desk,
            postman,
            self.directory,
            self.settings,
            clock=lambda: self.now,
        )

    async def row(self) -> notices.NoticeRow:
        async with self.database.read() as connection:
            (row,) = await notices.of_case(connection, samples.CASE_ID)
        return row

    async def case(self) -> Case:
        case = await self.desk.case(samples.CASE_ID)
        assert case is not None
        return case


@asynccontextmanager
async def outbox(
    directory: Path, contacts: str = MAIL, *, mode: Mode = "contact"
) -> AsyncIterator[Outbox]:
    (directory / "tenants.toml").write_text(contacts)
    database = await Database.open(database_in(directory))
    try:
        verdict, policy = samples.verdict(), Policy()
        opened = open_case(samples.CASE_ID, "node-17", "web-042", verdict, policy, None)
        queued = see_verdict(opened.case, verdict, policy, "contact")
        assert queued is not None
        async with database.write() as connection:
            await write_step(connection, opened, None, mode=mode, now=NOW)
            await write_step(connection, queued, opened.case, mode=mode, now=NOW)
        made = Outbox(database, None, ContactDirectory(directory / "tenants.toml"))  # type: ignore[arg-type]  # set below: its clock is the outbox's
        made.desk = Desk(database, OnePolicy(policy), Modes(mode), lambda: made.now)
        await made.desk.start()
        yield made
    finally:
        await database.close()


async def add_case(
    box: Outbox, name: str, host: str, *, severity: Any = "high", queued_at: float = NOW
) -> str:
    """Another case of the same tenant, with its first notice in the outbox."""
    verdict, policy = samples.verdict(intervals=6), Policy()
    opened = open_case(name, host, "web-042", verdict, policy, None)
    case = msgspec.structs.replace(opened.case, severity=severity)
    opened = msgspec.structs.replace(opened, case=case)
    queued = see_verdict(case, verdict, policy, "contact")
    assert queued is not None
    async with box.database.write() as connection:
        await write_step(connection, opened, None, mode="contact", now=queued_at)
        await write_step(connection, queued, case, mode="contact", now=queued_at)
    return queued.case.notice


async def history(box: Outbox, case_id: str = samples.CASE_ID) -> list[tuple[str, str]]:
    return [(entry.event, entry.text) for entry in await box.desk.timeline(case_id)]
