"""The provider's Postfix and Dovecot, the customers' Postfix, and all that mail does in between."""

from __future__ import annotations

import email
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.contact.inbound.imap import ImapReader
from controller.contact.inbound.taking import Taking, take
from controller.contact.mail import MailChannel
from controller.settings import Imap, Smtp
from tests.contact import samples
from tests.mail.letters import ADDRESSES, CASE, LETTER, mail
from tests.mail.office import ANNA, BO, NOW, POLICY, Office, office
from tests.mail.servers import (
    NEEDED,
    Greylist,
    Mailbox,
    Postfix,
    customers_postfix,
    cutter,
    dovecot,
    free_port,
    greylist,
    providers_postfix,
    wait_until,
)

pytestmark = [*NEEDED, pytest.mark.timeout(300)]
HOUR = 3600.0
NOBODY = ANNA.replace("anna", "nobody")
LATER = ANNA.replace("anna", "later")


@dataclass
class World:
    provider: Postfix
    customer: Postfix
    mailbox: Mailbox
    policy: Greylist
    password_file: Path

    def channel(self, port: int) -> MailChannel:
        """Mail as the controller sends it, to the server at this port."""
        smtp = Smtp(host="127.0.0.1", port=port, security="none", sender="fairuse@north.example")
        return MailChannel(smtp, addresses=ADDRESSES)

    def reader(self, made: Office, **changes: object) -> ImapReader:
        fields: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.mailbox.port,
            "username": "fairuse",
            "password_file": str(self.password_file),
        }

        async def keep(raw: bytes) -> Taking:
            return await take(made.database, ADDRESSES, raw, made.now)

        return ImapReader(Imap(**{**fields, **changes}), ADDRESSES, keep, self.mailbox.tls)  # type: ignore[arg-type]  # as given

    def write(self, raw: bytes, to: str, sender: str = "anna@example.org") -> None:
        """A customer's mail program sends a mail by the customer's own server."""
        with smtplib.SMTP("127.0.0.1", self.customer.port) as client:
            client.sendmail(sender, [to], raw)

    async def read(self, made: Office, mails: int = 1) -> None:
        """Wait until so many more are in the provider's mailbox, and read it."""
        wait_until(lambda: len(self.mailbox.messages()) >= mails, "mail in the mailbox")
        await self.reader(made).look()
        await made.mailroom.judge_taken()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    provider, customer, policy = free_port(), free_port(), free_port()
    password_file = tmp_path_factory.mktemp("imap") / "password"
    password_file.write_text("secret\n")
    with (
        dovecot() as box,
        greylist(policy) as greylisting,
        providers_postfix(box.lmtp_port, provider, customer) as at_provider,
        customers_postfix(customer, provider, policy) as at_customer,
    ):
        yield World(at_provider, at_customer, box, greylisting, password_file)


@pytest.fixture
def world(servers: World) -> World:
    """Each test begins with empty mailboxes."""
    servers.mailbox.empty()
    servers.customer.empty()
    return servers


async def test_a_greylisted_notice_is_accepted_by_the_next_try_and_the_clock_starts_then(
    world: World, tmp_path: Path
) -> None:
    world.policy.unknown.add("anna@example.org")
    async with office(tmp_path, ANNA, world.channel(world.customer.port)) as made:
        await made.send()
        row = await made.notice()
        assert "greylisted, try again later" in row.answer
        assert (await made.case()).state == "watching"
        assert row.next_try_at is not None
        await made.send(row.next_try_at)
        case = await made.case()
        assert case.state == "notified"
        assert case.notice_accepted_at == row.next_try_at
    wait_until(lambda: len(world.customer.mailbox("anna")) == 1, "the notice")
    (raw,) = world.customer.mailbox("anna")
    letter = email.message_from_bytes(raw)
    assert letter["Return-Path"] == f"<{LETTER}>"
    assert letter["Reply-To"] == CASE
    assert letter["Message-ID"] == f"<{samples.FIRST_NOTICE}@north.example>"


async def test_a_temporary_refusal_is_retried_until_its_time_is_over_and_then_held(
    world: World, tmp_path: Path
) -> None:
    async with office(tmp_path, LATER, world.channel(world.customer.port)) as made:
        await made.send()
        assert "451 4.3.0" in (await made.notice()).answer
        assert (await made.case()).state == "watching"
        await made.send(NOW + HOUR)
        case = await made.case()
    assert case.state == "held"
    assert "the disk is full" in case.held_because


async def test_a_permanent_refusal_puts_the_case_on_hold_at_once(
    world: World, tmp_path: Path
) -> None:
    async with office(tmp_path, NOBODY, world.channel(world.customer.port)) as made:
        await made.send()
        case = await made.case()
    assert case.state == "held"
    assert "550 5.1.1" in case.held_because


async def test_a_notice_that_bounces_an_hour_later_is_no_contact(
    world: World, tmp_path: Path
) -> None:
    async with office(tmp_path, NOBODY + BO, world.channel(world.provider.port)) as made:
        await made.send()
        assert (await made.case()).state == "notified"
        made.now = NOW + HOUR
        await world.read(made)
        case = await made.case()
        assert case.state == "watching"
        assert case.deadline is None
        assert "550 5.1.1" in await made.told("notice-bounced")
        await made.send()
        assert (await made.case()).notice_accepted_at == NOW + HOUR
        wait_until(lambda: len(world.customer.mailbox("bo")) == 1, "the notice to the next contact")


async def test_a_limit_does_not_outlive_the_bounce_of_its_notice(
    world: World, tmp_path: Path
) -> None:
    async with office(tmp_path, NOBODY, world.channel(world.provider.port)) as made:
        await made.send()
        await made.limit()
        made.now = NOW + 5 * HOUR
        await world.read(made)
        case = await made.case()
    assert case.state == "held"
    assert case.limit is None


async def test_a_reply_by_mail_is_an_answer(world: World, tmp_path: Path) -> None:
    async with office(tmp_path, ANNA, world.channel(world.provider.port)) as made:
        await made.send()
        wait_until(lambda: len(world.customer.mailbox("anna")) == 1, "the notice")
        notice = email.message_from_bytes(world.customer.mailbox("anna")[0])
        world.write(mail(to=notice["Reply-To"]), notice["Reply-To"])
        made.now = NOW + HOUR
        await world.read(made)
        case = await made.case()
    assert case.answers == ("acknowledge",)
    assert case.deadline == NOW + HOUR + POLICY.times.acknowledged
    assert world.mailbox.messages() == []
    assert len(world.mailbox.messages(".Fairuse")) == 1


async def test_an_out_of_office_is_none(world: World, tmp_path: Path) -> None:
    async with office(tmp_path, ANNA, world.channel(world.provider.port)) as made:
        await made.send()
        wait_until(lambda: len(world.customer.mailbox("anna")) == 1, "the notice")
        notice = email.message_from_bytes(world.customer.mailbox("anna")[0])
        back_to = notice["Return-Path"].strip("<>")
        away = mail("I am away.", to=back_to, headers="Auto-Submitted: auto-replied\n")
        world.write(away, back_to, sender="")
        await world.read(made)
        assert (await made.case()).answers == ()
        (kept,) = await made.mails()
    assert kept.outcome == "auto-reply"


async def test_a_mail_that_comes_twice_is_taken_once(world: World, tmp_path: Path) -> None:
    async with office(tmp_path, ANNA, world.channel(world.provider.port)) as made:
        await made.send()
        for _ in range(2):
            world.write(mail(), CASE)
        await world.read(made, mails=2)
        assert len(await made.mails()) == 1
        assert (await made.events()).count("answered-acknowledge") == 1
    assert world.mailbox.messages() == []


async def test_a_server_that_dies_before_its_answer_makes_one_thread_for_the_customer(
    world: World, tmp_path: Path
) -> None:
    async with (
        cutter(world.customer.port) as cut,
        office(tmp_path, ANNA, world.channel(cut.port)) as made,
    ):
        await made.send()
        row = await made.notice()
        assert row.accepted_at is None
        assert row.next_try_at is not None
        await made.send(row.next_try_at)
        assert (await made.case()).state == "notified"
    wait_until(lambda: len(world.customer.mailbox("anna")) == 2, "both copies")
    copies = [email.message_from_bytes(raw) for raw in world.customer.mailbox("anna")]
    assert len({copy["Message-ID"] for copy in copies}) == 1
    assert len({copy["References"] for copy in copies}) == 1


async def test_a_store_that_is_away_costs_no_mail(world: World, tmp_path: Path) -> None:
    async with office(tmp_path, ANNA, world.channel(world.provider.port)) as made:
        await made.send()
        world.write(mail(), CASE)
        wait_until(lambda: len(world.mailbox.messages()) == 1, "mail in the mailbox")
        kept: list[bytes] = []

        async def keep(raw: bytes) -> Taking:
            if not kept:
                kept.append(raw)
                raise OSError("the disk is full")
            return await take(made.database, ADDRESSES, raw, made.now)

        reader = world.reader(made)
        reader._take = keep
        with pytest.raises(OSError, match="the disk is full"):
            await reader.look()
        assert len(world.mailbox.messages()) == 1
        await reader.look()
        await made.mailroom.judge_taken()
        assert (await made.case()).answers == ("acknowledge",)


async def test_what_is_not_about_a_case_stays_in_the_mailbox_for_people(
    world: World, tmp_path: Path
) -> None:
    async with office(tmp_path) as made:
        world.write(mail(to="fairuse@north.example"), "fairuse@north.example")
        wait_until(lambda: len(world.mailbox.messages()) == 1, "mail in the mailbox")
        reader = world.reader(made, security="starttls", port=world.mailbox.starttls_port)
        await reader.look()
        await reader.look()
        assert await made.mails() == []
    assert len(world.mailbox.messages()) == 1
