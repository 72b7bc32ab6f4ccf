from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from controller.cases.desk import Desk
from controller.cases.lifecycle import open_case, see_verdict
from controller.cases.model import Case, StandingLimit
from controller.cases.policies import OnePolicy
from controller.cases.policybook import PolicyBook
from controller.cases.record import write_step
from controller.cases.rings import Modes
from controller.contact.attempts import (
    GiveUp,
    RetryAt,
    after_refusals,
    overtaken,
    retry_delay_seconds,
)
from controller.contact.delivery import Accepted, Channel, Outcome, Refused
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import Dispatcher, build_dispatcher
from controller.contact.letters import Letter
from controller.contact.links import CustomerLinks, LinkRefused
from controller.contact.mail import MailChannel
from controller.contact.notice import Queued, RenderedNotice
from controller.contact.postman import Postman
from controller.contact.sources.asking import AnswerUnusable, SourceAway
from controller.contact.sources.lookup import Lookup
from controller.fairshare.policy import Policy
from controller.lookup_settings import Directory
from controller.settings import Contact, Mode, Smtp
from controller.storage import notices, tries
from controller.storage.database import Database
from controller.tenants import Tenant, TenantContact
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.contact.servers import mail_server
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
            await write_step(connection, opened, None, mode="contact", now=NOW)
            await write_step(connection, queued, opened.case, mode="contact", now=NOW)
        made = Outbox(database, None, ContactDirectory(directory / "tenants.toml"))  # type: ignore[arg-type]  # set below: its clock is the outbox's
        made.desk = Desk(database, OnePolicy(policy), Modes(mode), lambda: made.now)
        await made.desk.start()
        yield made
    finally:
        await database.close()


async def test_a_real_acceptance_starts_the_clock_with_the_servers_words(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, mail_server() as server:
        mail = MailChannel(
            Smtp(
                host="127.0.0.1", port=server.port, security="none", sender="fairuse@north.example"
            )
        )
        await box.dispatcher(mail).send_due(NOW)
        row, case = await box.row(), await box.case()
    assert row.accepted_at == NOW
    assert row.channel == "email"
    assert row.answer.endswith("250 queued as 4711")
    assert case.state == "notified"
    assert case.deadline is not None
    assert len(server.mails) == 1


async def test_a_refused_mail_never_starts_the_clock(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, mail_server() as server:
        server.answers = ["451 later", "451 later", "250 now"]
        mail = MailChannel(
            Smtp(
                host="127.0.0.1", port=server.port, security="none", sender="fairuse@north.example"
            )
        )
        dispatcher = box.dispatcher(mail)
        for now in (NOW, NOW + 11):
            await dispatcher.send_due(now)
            assert (await box.case()).state == "watching"
        await dispatcher.send_due(NOW + 40)
        assert (await box.case()).state == "notified"
    assert len({mail["Message-ID"] for mail in server.mails}) == 1


async def test_the_first_channel_that_accepts_wins(tmp_path: Path) -> None:
    async with outbox(tmp_path, BOTH) as box:
        mail, webhook = accepts("email"), accepts("webhook")
        await box.dispatcher(mail, webhook).send_due(NOW)
        assert (await box.row()).channel == "email"
    assert webhook.ids == []


@pytest.mark.parametrize("for_good", [True, False])
async def test_the_next_channel_is_tried_when_one_refuses(tmp_path: Path, for_good: bool) -> None:
    async with outbox(tmp_path, BOTH) as box:
        await box.dispatcher(refuses("email", for_good=for_good), accepts("webhook")).send_due(NOW)
        assert (await box.row()).channel == "webhook"


async def test_an_accepted_notice_is_not_sent_again(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        mail = accepts("email")
        dispatcher = box.dispatcher(mail)
        for later in (0, 10, 1000):
            await dispatcher.send_due(NOW + later)
    assert len(mail.ids) == 1


async def test_a_crash_between_acceptance_and_record_sends_the_same_id_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    async def crash(*_: Any, **__: Any) -> None:
        raise Crash

    async with outbox(tmp_path) as box:
        mail = accepts("email")
        with monkeypatch.context() as patch:
            patch.setattr(box.desk, "carry_out_together", crash)
            with pytest.raises(Crash):
                await box.dispatcher(mail).send_due(NOW)
        assert (await box.row()).accepted_at is None
        await box.dispatcher(mail).send_due(NOW + 60)
        assert (await box.row()).accepted_at == NOW
    assert mail.ids == [samples.FIRST_NOTICE] * 2


async def test_a_store_that_is_away_for_a_moment_does_not_send_the_notice_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("", {}, Exception("the database is locked"))

    async with outbox(tmp_path) as box:
        mail = accepts("email")
        dispatcher = box.dispatcher(mail)
        with monkeypatch.context() as patch:
            patch.setattr(box.desk, "carry_out_together", away)
            await dispatcher.send_due(NOW)
        assert "could not be settled" in caplog.text
        box.now += 60
        await dispatcher.send_due(box.now)
        assert (await box.row()).accepted_at == NOW
    assert len(mail.ids) == 1


async def test_a_notice_that_all_channels_refuse_for_good_puts_the_case_on_hold(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, BOTH) as box:
        await box.dispatcher(
            refuses("email", for_good=True), refuses("webhook", for_good=True)
        ).send_due(NOW)
        row, case = await box.row(), await box.case()
    assert row.failed_at is not None
    assert case.state == "held"
    assert "email: no; webhook: no" in case.held_because


async def test_a_notice_is_given_up_when_its_time_is_over(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        mail = refuses("email", for_good=False)
        dispatcher = box.dispatcher(mail)
        while (row := await box.row()).next_try_at is not None:
            box.now = row.next_try_at
            await dispatcher.send_due(box.now)
        case = await box.case()
    assert box.now == NOW + RETRY_FOR
    assert case.state == "held"
    assert f"tried {len(mail.ids)} times" in case.held_because


async def test_a_tenant_that_nobody_listed_puts_the_case_on_hold(tmp_path: Path) -> None:
    async with outbox(tmp_path, "") as box:
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW)
        case = await box.case()
    assert case.state == "held"
    assert 'nobody to write to: no directory lists "web-042"' in case.held_because
    assert mail.ids == []


async def test_several_notices_about_a_case_that_reach_nobody_are_all_given_up(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, "") as box:
        document = msgspec.json.encode(samples.document()).decode()
        async with box.database.write() as connection:
            for name in ("n1", "n2"):
                await notices.queue(
                    connection,
                    id=name,
                    case_id=samples.CASE_ID,
                    kind="limit-ended",
                    queued_at=NOW,
                    document=document,
                )
        await box.dispatcher(accepts("email")).send_due(NOW)
        async with box.database.read() as connection:
            assert await notices.waiting(connection, "web-042") == []


async def test_a_tenant_that_is_listed_without_a_contact_puts_the_case_on_hold(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, '[tenants.web-042]\nplan = "small"\n') as box:
        await box.dispatcher(accepts("email")).send_due(NOW)
        assert "listed without a contact" in (await box.case()).held_because


class Billing:
    """A place that is away until it is not."""

    name = "billing"

    def __init__(self) -> None:
        self.answer: Tenant | Exception | None = SourceAway("it burns")

    async def ask(self, tenant: str) -> Tenant | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        pass


def looking_up(box: Outbox, billing: Billing) -> None:
    box.directory = ContactDirectory(None, lookup=Lookup(billing, Directory(), lambda: box.now))


async def test_while_the_directory_is_away_the_notice_waits_and_then_goes(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        billing, mail = Billing(), accepts("email")
        looking_up(box, billing)
        dispatcher = box.dispatcher(mail)
        await dispatcher.send_due(box.now)
        row = await box.row()
        assert row.answer == "directory: it burns"
        assert row.next_try_at is not None
        assert NOW + 5 <= row.next_try_at <= NOW + 15
        assert (await box.case()).state == "watching"
        billing.answer = Tenant(contacts=(TenantContact(email=("anna@example.org",)),))
        box.now = row.next_try_at
        await dispatcher.send_due(box.now)
        assert (await box.case()).state == "notified"


@pytest.mark.parametrize(
    "answer", [SourceAway("it burns"), AnswerUnusable("email: no")], ids=["away", "unusable"]
)
async def test_a_directory_that_never_tells_leaves_the_case_to_a_person(
    tmp_path: Path, answer: Exception
) -> None:
    async with outbox(tmp_path) as box:
        billing, mail = Billing(), accepts("email")
        billing.answer = answer
        looking_up(box, billing)
        dispatcher = box.dispatcher(mail)
        while (row := await box.row()).next_try_at is not None:
            box.now = row.next_try_at
            await dispatcher.send_due(box.now)
        assert box.now == NOW + RETRY_FOR
        case = await box.case()
    assert case.state == "held"
    assert case.limit is None
    assert f"directory: {answer}" in case.held_because
    assert mail.ids == []


async def test_who_is_unknown_where_tenants_are_looked_up_is_held_at_once(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        billing = Billing()
        billing.answer = None
        looking_up(box, billing)
        await box.dispatcher(accepts("email")).send_due(NOW)
        case = await box.case()
    assert case.state == "held"
    assert 'no directory lists "web-042"' in case.held_because


async def test_nothing_is_sent_while_only_observing(tmp_path: Path) -> None:
    async with outbox(tmp_path, mode="observe") as box:
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW)
        assert (await box.row()).next_try_at is not None
    assert mail.ids == []


async def test_a_fault_of_our_own_is_retried_and_in_the_end_held(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Told):
        async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
            raise RuntimeError("a bug")

    async with outbox(tmp_path) as box:
        dispatcher = box.dispatcher(Broken("email", Accepted("email", "")))
        await dispatcher.send_due(NOW)
        row = await box.row()
        assert row.next_try_at == NOW + retry_delay_seconds(1, row.id)
        assert "a bug" in row.answer
        await dispatcher.send_due(NOW + RETRY_FOR)
        assert (await box.case()).state == "held"
    assert "could not be sent by email" in caplog.text


async def test_a_first_notice_that_waited_until_its_case_closed_is_not_sent(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box:
        await box.desk.dismiss(samples.CASE_ID, by="otto", reason="agreed by telephone")
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW)
        row, case = await box.row(), await box.case()
    assert mail.ids == []
    assert row.failed_at is not None
    assert "closed before" in row.answer
    assert case.state == "closed"


@pytest.mark.parametrize(
    ("now_standing", "still_true"),
    [
        pytest.param(samples.limit(), True, id="it-stands"),
        pytest.param(samples.limit(allowance=2.0), True, id="it-moved"),
        pytest.param(samples.limit(order="another"), False, id="another-stands"),
        pytest.param(None, False, id="it-ended"),
    ],
)
def test_a_limit_is_announced_only_while_it_stands(
    now_standing: StandingLimit | None, still_true: bool
) -> None:
    about = Queued("n1", "limit-started", NOW, samples.document(limit=samples.limit()))
    reason = overtaken(about, samples.case(limit=now_standing), NOW)
    assert (reason == "") is still_true


async def test_notices_of_one_case_go_out_in_the_order_in_which_they_were_queued(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box:
        document = msgspec.json.encode(samples.document()).decode()
        async with box.database.write() as connection:
            await notices.queue(
                connection,
                id="a-later-one",
                case_id=samples.CASE_ID,
                kind="limit-ended",
                queued_at=NOW + 1,
                document=document,
            )
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW + 1)
    assert mail.ids == [samples.FIRST_NOTICE, "a-later-one"]


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


async def test_cases_of_one_tenant_are_told_in_one_letter_and_accepted_together(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box, mail_server() as server:
        box.settings = msgspec.structs.replace(SETTINGS, group_interval=Duration(120))
        mail = MailChannel(
            Smtp(
                host="127.0.0.1", port=server.port, security="none", sender="fairuse@north.example"
            )
        )
        dispatcher = box.dispatcher(mail)
        await dispatcher.send_due(NOW)
        assert server.mails == []
        assert (await box.row()).next_try_at == NOW + 120
        await add_case(box, "c18", "node-18", queued_at=NOW + 60)
        await dispatcher.send_due(NOW + 60)
        assert server.mails == []
        box.now = NOW + 120
        await dispatcher.send_due(box.now)
        (sent,) = server.mails
        assert sent["Message-ID"] == f"<{samples.FIRST_NOTICE}@north.example>"
        body = sent.get_body(("plain",))
        assert body is not None
        for host in ("node-17", "node-18"):
            assert host in body.get_content().lower()
        cases = [await box.case(), await box.desk.case("c18")]
    for case in cases:
        assert case is not None
        assert case.state == "notified"
        assert case.notice_accepted_at == NOW + 120


async def test_a_notice_that_comes_while_a_letter_is_being_retried_makes_its_own(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box:
        mail = Told("email", Refused("email", "451 later", False), Accepted("email", "250 ok"))
        dispatcher = box.dispatcher(mail)
        await dispatcher.send_due(NOW)
        later = await add_case(box, "c18", "node-18", queued_at=NOW + 5)
        for box.now in (NOW + 5, NOW + 20):
            await dispatcher.send_due(box.now)
    assert mail.ids == [samples.FIRST_NOTICE, later, samples.FIRST_NOTICE]


async def test_later_letters_about_a_case_are_in_the_thread_of_the_letter_that_told_of_it(
    tmp_path: Path,
) -> None:
    class Threads(Told):
        threads: ClassVar[list[str]] = []

        async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
            self.threads.append(notice.first_notice_id)
            return await super().send(notice, contact, now)

    async with outbox(tmp_path) as box:
        await add_case(box, "c18", "node-18")
        mail = Threads("email", Accepted("email", "250 ok"))
        dispatcher = box.dispatcher(mail)
        await dispatcher.send_due(NOW)
        await box.desk.dismiss("c18", by="otto", reason="agreed by telephone")
        await dispatcher.send_due(NOW)
    assert len(mail.ids) == 2
    assert mail.ids[1].startswith("c18-")
    assert mail.threads == [mail.ids[0]] * 2


async def test_a_low_notice_waits_for_the_end_of_the_quiet_time_and_its_deadline_with_it(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, QUIET) as box:
        await box.desk.dismiss(samples.CASE_ID, by="otto", reason="not this one")
        await add_case(box, "c18", "node-18", severity="low")
        mail = accepts("email")
        dispatcher = box.dispatcher(mail)
        for box.now in (NOW, NOW + 1800, NOW + 3599):
            await dispatcher.send_due(box.now)
        assert mail.ids == []
        told = [text for event, text in await history(box, "c18") if event == "notice-delayed"]
        assert told == [
            "It is a quiet time of the contact, and this can wait; the next try is in 1 hour."
        ]
        box.now = NOW + 3600
        await dispatcher.send_due(box.now)
        case = await box.desk.case("c18")
    assert len(mail.ids) == 1
    assert case is not None
    assert case.deadline == NOW + 3600 + Policy().severity.low.deadline


async def test_a_quiet_time_between_tries_is_not_counted_as_time_to_deliver(
    tmp_path: Path,
) -> None:
    contacts = MAIL + 'quiet_hours = "14:01-18:00"\n'
    async with outbox(tmp_path, contacts) as box:
        await box.desk.dismiss(samples.CASE_ID, by="otto", reason="not this one")
        await add_case(box, "c18", "node-18", severity="low")
        mail = Told("email", *[Refused("email", "451", False)] * 2, Accepted("email", "250 ok"))
        dispatcher = box.dispatcher(mail)
        for box.now in (NOW, NOW + 65, NOW + 4 * 3600, NOW + 4 * 3600 + 30):
            await dispatcher.send_due(box.now)
        case = await box.desk.case("c18")
    assert len(mail.ids) == 3, "RETRY_FOR is an hour, and nearly four went by in quiet"
    assert case is not None
    assert case.state == "notified"


async def test_a_high_notice_is_sent_in_a_quiet_time(tmp_path: Path) -> None:
    async with outbox(tmp_path, QUIET) as box:
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW)
    assert mail.ids == [samples.FIRST_NOTICE]


async def test_a_contact_that_refuses_for_good_passes_the_letter_on_at_once(
    tmp_path: Path,
) -> None:
    no = Refused("email", "550 gone", for_good=True)
    async with outbox(tmp_path, THREE) as box:
        mail = Mailboxes(anna=no, abuse=no, bill=Accepted("email", "250 ok"))
        await box.dispatcher(mail).send_due(NOW)
        async with box.database.read() as connection:
            tried = await tries.of_case(connection, samples.CASE_ID)
        assert (await box.case()).state == "notified"
    assert mail.asked == ["anna", "abuse", "bill"]
    assert [(each.contact, each.outcome, each.answer) for each in tried] == [
        ("technical", "refused", "550 gone"),
        ("abuse", "refused", "550 gone"),
        ("billing", "accepted", "250 ok"),
    ]


async def test_a_mail_server_that_is_silent_for_a_while_brings_no_letter_to_the_next_contact(
    tmp_path: Path,
) -> None:
    silent = Refused("email", "connection refused", for_good=False)
    async with outbox(tmp_path, THREE) as box:
        mail = Mailboxes(anna=silent, abuse=Accepted("email", "250 ok"))
        dispatcher = box.dispatcher(mail)
        while (row := await box.row()).next_try_at is not None:
            box.now = row.next_try_at
            await dispatcher.send_due(box.now)
        events = [event for event, _ in await history(box)]
    assert set(mail.asked[:-1]) == {"anna"}
    assert mail.asked[-1] == "abuse"
    assert box.now == NOW + SETTINGS.next_contact_after
    assert events.count("notice-delayed") == 1, "the history tells of the first time only"


async def test_what_is_over_the_days_number_is_not_sent_and_puts_the_case_before_an_operator(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box:
        box.settings = msgspec.structs.replace(SETTINGS, most_a_day=1)
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW)
        await box.desk.dismiss(samples.CASE_ID, by="otto", reason="for now")
        await add_case(box, "again", "node-17")
        await box.dispatcher(mail).send_due(NOW + 1)
        case = await box.desk.case("again")
        events = await history(box, "again")
        closing = (await history(box))[-1]
    assert mail.ids == [samples.FIRST_NOTICE]
    assert case is not None
    assert case.state == "held"
    assert case.notice_accepted_at is None
    assert "contact.most_a_day" in case.held_because
    assert events[-1][0] == "notice-withheld"
    assert closing[0] == "notice-withheld", "nor is the notice that the first case is closed"


async def test_as_configured_the_mail_holds_the_link_to_its_case_and_the_desk_wakes_the_loop(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box, mail_server() as server:
        links = CustomerLinks(bytes(32), "https://fairuse.example.net", lambda: box.now)
        settings = Contact(
            link_valid=Duration(100),
            group_interval=Duration(0),
            smtp=Smtp(
                host="127.0.0.1", port=server.port, security="none", sender="fairuse@north.example"
            ),
        )
        policies = PolicyBook(None, box.directory.plan_of, lambda: box.now)
        dispatcher = build_dispatcher(
            settings, policies, box.database, box.desk, links, box.directory, lambda: box.now
        )
        assert box.desk._ledger.notice_queued == dispatcher.wake
        await dispatcher.send_due(NOW)
        await dispatcher.close()
        text = server.mails[0].get_body(("plain",))
        assert text is not None
        link = re.search(r"https://fairuse.example.net/c/(\S+)", text.get_content())
        assert link is not None
        assert links.case_for(link[1]) == samples.CASE_ID
        box.now = NOW + 100
        with pytest.raises(LinkRefused, match="expired"):
            links.case_for(link[1])


async def test_the_loop_sends_when_it_is_woken(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        box.now = NOW - 1
        mail = accepts("email")
        dispatcher = box.dispatcher(mail)
        task = asyncio.create_task(dispatcher.run())
        try:
            await asyncio.sleep(0.05)
            assert mail.ids == []
            box.now = NOW
            dispatcher.wake()
            async with asyncio.timeout(3):
                # Cancelled in the midst of a transaction, its thread could outlive this loop.
                while (await box.row()).accepted_at is None:  # noqa: ASYNC110 - a store rings no bell
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert mail.ids == [samples.FIRST_NOTICE]


@given(tries=st.integers(1, 10_000), letter=st.text(max_size=20))
def test_waits_grow_and_stay_bounded(tries: int, letter: str) -> None:
    assert 10 <= retry_delay_seconds(tries, letter) <= retry_delay_seconds(tries + 1, letter)
    assert retry_delay_seconds(tries, letter) <= 1800 * 1.1


@given(
    tries=st.integers(0, 50),
    waited=st.floats(0, 10 * RETRY_FOR),
    refusals=st.lists(st.tuples(st.booleans(), st.floats(0, 1e6)), min_size=1, max_size=3),
)
def test_a_letter_is_retried_in_time_or_given_up(
    tries: int, waited: float, refusals: list[tuple[bool, float]]
) -> None:
    now = NOW + waited
    letter = Letter("n1", (), tries, sending_since=NOW)
    outcome = after_refusals(
        [Refused("email", "no", for_good, asked) for for_good, asked in refusals],
        letter,
        SETTINGS,
        now,
    )
    if all(for_good for for_good, _ in refusals) or now >= NOW + RETRY_FOR:
        assert isinstance(outcome, GiveUp)
    else:
        assert isinstance(outcome, RetryAt)
        assert now < outcome.at <= NOW + RETRY_FOR
        if not any(asked for _, asked in refusals) and waited < SETTINGS.next_contact_after:
            assert outcome.at <= NOW + SETTINGS.next_contact_after
