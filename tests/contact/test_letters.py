from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from controller.contact.delivery import Accepted, Outcome, Refused
from controller.contact.mail import MailChannel
from controller.contact.notice import RenderedNotice
from controller.fairshare.policy import Policy
from controller.settings import Smtp
from controller.storage import notices
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.contact.outbox import (
    MAIL,
    NOW,
    QUIET,
    SETTINGS,
    Told,
    accepts,
    add_case,
    history,
    outbox,
)
from tests.contact.servers import mail_server


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


class Reads(Told):
    """A mail channel that keeps what it was given."""

    def __init__(self, *answers: Outcome) -> None:
        super().__init__("email", *answers)
        self.letters: list[RenderedNotice] = []

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        self.letters.append(notice)
        return await super().send(notice, contact, now)


async def test_a_letter_that_had_to_wait_tells_no_deadline_that_it_does_not_leave(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, mode="enforce") as box:
        mail = Reads(Refused("email", "451", False), Accepted("email", "250 ok"))
        dispatcher = box.dispatcher(mail)
        for box.now in (NOW, NOW + 1800):
            await dispatcher.send_due(box.now)
        case = await box.case()
    assert case.deadline is not None
    assert mail.letters[-1].data["deadline"] == case.deadline
    assert mail.letters[0].data["deadline"] == case.deadline - 1800


async def test_a_case_that_closes_while_its_letter_waits_for_the_morning_is_not_written_about(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, QUIET) as box:
        await add_case(box, "c18", "node-18", severity="low")
        mail = accepts("email")
        dispatcher = box.dispatcher(mail)
        await box.desk.dismiss(samples.CASE_ID, by="otto", reason="not this one")
        await dispatcher.send_due(NOW)
        await box.desk.dismiss("c18", by="otto", reason="nor this one")
        await dispatcher.send_due(NOW)
        async with box.database.read() as connection:
            waiting = await notices.waiting_of(connection, ["c18", samples.CASE_ID])
    assert (mail.ids, waiting) == ([], [])


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
