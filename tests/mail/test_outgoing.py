"""The addresses that mails of a case carry, as a server gets them."""

from __future__ import annotations

from dataclasses import replace

from controller.contact.delivery import Accepted
from controller.contact.mail import MailChannel
from controller.settings import Smtp
from controller.tenants import TenantContact
from tests.contact import samples
from tests.contact.servers import MailServer, mail_server
from tests.contact.test_mail import first_notice
from tests.mail.letters import ADDRESSES, CASE, LETTER

BOTH = TenantContact(email=("Anna <Anna@example.org>", "bo@example.org"))
SENDER = "fairuse@north.example"


def channel(server: MailServer, *, mailbox: bool = True) -> MailChannel:
    smtp = Smtp(host="127.0.0.1", port=server.port, security="none", sender=SENDER)
    return MailChannel(smtp, addresses=ADDRESSES if mailbox else None)


async def test_a_mail_asks_for_answers_to_its_case_and_bounces_to_its_letter() -> None:
    async with mail_server() as server:
        await channel(server).send(first_notice(), BOTH, samples.NOW)
    assert server.mails[0]["Reply-To"] == CASE
    assert server.senders == [LETTER]


async def test_an_answer_to_a_letter_about_several_cases_comes_back_to_the_letter() -> None:
    notice = first_notice()
    several = replace(notice, data={**notice.data, "others": [notice.data]})
    async with mail_server() as server:
        await channel(server).send(several, BOTH, samples.NOW)
    assert server.mails[0]["Reply-To"] == LETTER


async def test_without_a_mailbox_all_comes_back_to_the_sender() -> None:
    async with mail_server() as server:
        await channel(server, mailbox=False).send(first_notice(), BOTH, samples.NOW)
    assert server.mails[0]["Reply-To"] is None
    assert server.senders == [SENDER]


async def test_an_announcement_about_no_case_comes_back_to_the_sender() -> None:
    announcement = replace(first_notice(), case_id="", id="announcement-1")
    async with mail_server() as server:
        await channel(server).send(announcement, BOTH, samples.NOW)
    assert server.mails[0]["Reply-To"] is None
    assert server.senders == [SENDER]


async def test_it_is_kept_for_whom_the_server_took_the_mail() -> None:
    async with mail_server() as server:
        server.refused["bo@example.org"] = "550 no such user"
        outcome = await channel(server).send(first_notice(), BOTH, samples.NOW)
    assert isinstance(outcome, Accepted)
    assert outcome.sent_to == ("anna@example.org",)
