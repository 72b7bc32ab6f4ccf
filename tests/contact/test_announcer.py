"""Announcements, from the files and the database to a mail server."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from controller.cases.desk import Desk
from controller.cases.policybook import PolicyBook
from controller.cases.rings import Modes
from controller.contact.addresses import CaseAddresses
from controller.contact.announcer import Announcer
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import build_dispatcher
from controller.contact.links import CustomerLinks
from controller.contact.templating import LetterTemplates
from controller.fairshare.agreement import AgreementTerms
from controller.settings import Contact, Mode, Smtp
from controller.storage import announcements
from controller.storage.announcements import AnnouncementRow
from controller.storage.database import Database
from fairuse_protocol.units import Duration
from tests.contact.servers import MailServer, mail_server
from tests.databases import database_in

DAY = 86400.0
NOW = dt.datetime(2026, 11, 1, 9, 0, tzinfo=dt.UTC).timestamp()
TENANTS = """
[tenants.web-042]
[[tenants.web-042.contacts]]
email = ["ops@example.com"]
[tenants.web-043]
language = "da"
[[tenants.web-043.contacts]]
email = ["drift@example.dk"]
[tenants.nobody-listed]
name = "No contact"
"""
POLICIES = 'default = "own"\nfiles = ["one.toml", "two.toml"]\n'
ONE = 'name = "own"\nversion = "1"\n'
TWO = """
name = "own"
version = "2"
announced = 2026-11-01
effective = 2026-12-01
notice_period = "30d"
former_version_for = "90d"
[limit]
lease = "30m"
"""


class Office:
    """An announcer over real files, a real database and a real mail server."""

    def __init__(self, announcer: Announcer, desk: Desk, database: Database, server: MailServer):
        self.announcer = announcer
        self.desk = desk
        self.database = database
        self.server = server
        self.now = NOW

    async def work(self, days: float = 0.0) -> None:
        self.now = NOW + days * DAY
        await self.announcer.announce(self.now)
        await self.announcer.send_due(self.now)

    async def rows(self) -> list[AnnouncementRow]:
        async with self.database.read() as connection:
            return await announcements.listed(connection)

    def sent(self) -> list[tuple[str, str]]:
        return sorted((mail["To"], mail["Subject"]) for mail in self.server.mails)


@asynccontextmanager
async def office(
    directory: Path, *, mode: Mode = "contact", policies: bool = True
) -> AsyncIterator[Office]:
    for name, text in (
        ("tenants.toml", TENANTS),
        ("policies.toml", POLICIES),
        ("one.toml", ONE),
        ("two.toml", TWO),
    ):
        (directory / name).write_text(text)
    database = await Database.open(database_in(directory))
    async with mail_server() as server:
        contacts = ContactDirectory(directory / "tenants.toml")
        made = Office(None, None, database, server)  # type: ignore[arg-type]  # set below: their clock is the office's
        book = PolicyBook(
            directory / "policies.toml" if policies else None, contacts.plan_of, lambda: made.now
        )
        made.desk = Desk(database, book, Modes(mode), lambda: made.now)
        await made.desk.start()
        smtp = Smtp(
            host="127.0.0.1", port=server.port, security="none", sender="fairuse@north.example"
        )
        contact = Contact(smtp=smtp, retry_for=Duration(3600))
        links = CustomerLinks(bytes(32), "https://fairuse.example.net", lambda: made.now)
        dispatcher = build_dispatcher(
            contact,
            book,
            database,
            made.desk,
            links,
            contacts,
            lambda: made.now,
            LetterTemplates(),
            CaseAddresses(bytes(32), "fairuse@north.example"),
        )
        made.announcer = Announcer(
            database,
            made.desk,
            book,
            contacts,
            dispatcher.postman,
            contact,
            clock=lambda: made.now,
        )
        try:
            yield made
        finally:
            await dispatcher.close()
            await database.close()


async def test_asergo_7_every_tenant_with_contacts_is_told_of_a_coming_version_once(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as made:
        for days in (0, 0.5, 29):
            await made.work(days)
        assert [to for to, _ in made.sent()] == ["drift@example.dk", "ops@example.com"]
        assert {row.accepted_at for row in await made.rows()} == {NOW}
        english = next(mail for mail in made.server.mails if mail["To"] == "ops@example.com")
        assert "December 2026" in english["Subject"]


async def test_nobody_is_told_of_a_version_that_applies_already(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.work(30)
        assert made.sent() == []


async def test_nobody_is_told_anything_while_only_observing(tmp_path: Path) -> None:
    async with office(tmp_path, mode="observe") as made:
        await made.work()
        assert (made.sent(), await made.rows()) == ([], [])


async def test_an_agreements_end_is_told_ahead_and_at_the_end(tmp_path: Path) -> None:
    async with office(tmp_path, policies=False) as made:
        terms = AgreementTerms(
            tenant="web-042", kind="exempt", ends_at=NOW + 30 * DAY, agreed_with="Anna"
        )
        await made.desk.agreements.record(terms, by="otto")
        for days in (0, 22, 23, 24, 29.9, 30, 31):
            await made.work(days)
        assert [subject for _, subject in made.sent()] == [
            "web-042: our agreement ends soon",
            "web-042: our agreement has ended",
        ]
        accepted = sorted(row.accepted_at or 0.0 for row in await made.rows())
        assert accepted == [NOW + 23 * DAY, NOW + 30 * DAY]


async def test_a_server_that_refuses_is_asked_again_with_the_same_message_and_at_last_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with office(tmp_path) as made:
        made.server.refused = {"drift@example.dk": "550 no such user"}
        made.server.answers = ["451 later", "250 now"]
        await made.work()
        await made.work(60 / DAY)
        assert len({mail["Message-ID"] for mail in made.server.mails}) == 1
        rows = {row.tenant: row for row in await made.rows()}
        assert rows["web-042"].accepted_at == NOW + 60
        assert rows["web-043"].failed_at == NOW
        assert "no such user" in rows["web-043"].answer
    assert "to web-043 given up: email: " in caplog.text
    assert "to web-042 not accepted, tried again at 20" in caplog.text
    assert "to web-042 accepted by email: " in caplog.text


async def test_a_store_that_is_away_for_a_moment_sends_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("the database is locked"))

    async with office(tmp_path) as made:
        with monkeypatch.context() as patch:
            patch.setattr(announcements, "settle", away)
            await made.work()
        assert "could not be settled" in caplog.text
        await made.work(1 / 24)
        assert len(made.sent()) == 2
        assert {row.accepted_at for row in await made.rows()} == {NOW}


async def test_an_announcement_waits_for_the_end_of_a_quiet_time_which_does_not_count_against_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with office(tmp_path) as made:
        quiet = TENANTS.replace(
            'email = ["ops@example.com"]',
            'email = ["ops@example.com"]\nquiet_hours = "08:00-18:00"',
        )
        (tmp_path / "tenants.toml").write_text(quiet)
        made.server.answers = ["250 the other's", "451 later", "250 now"]
        await made.work()
        assert [to for to, _ in made.sent()] == ["drift@example.dk"]
        waiting = next(row for row in await made.rows() if row.accepted_at is None)
        assert (waiting.next_try_at, waiting.tries) == (NOW + 9 * 3600, 0)
        await made.work(9 / 24)
        await made.work(9.1 / 24)
        assert len(made.sent()) == 3
        assert {row.failed_at for row in await made.rows()} == {None}
    assert re.search(r"waits until 20\S+ \d\d:00 UTC, when the contact's quiet time", caplog.text)
    assert "PutOff" not in caplog.text
