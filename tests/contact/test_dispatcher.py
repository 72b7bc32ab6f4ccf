from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from controller.cases.policybook import PolicyBook
from controller.contact.attempts import (
    retry_delay_seconds,
)
from controller.contact.delivery import Accepted, Outcome, Refused
from controller.contact.dispatcher import build_dispatcher
from controller.contact.links import CustomerLinks, LinkRefused
from controller.contact.mail import MailChannel
from controller.contact.notice import RenderedNotice
from controller.contact.templating import LetterTemplates
from controller.settings import Contact, Smtp
from controller.storage import notices, tries
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.contact.outbox import (
    BOTH,
    NOW,
    RETRY_FOR,
    SETTINGS,
    THREE,
    Mailboxes,
    Told,
    accepts,
    history,
    outbox,
    refuses,
)
from tests.contact.servers import mail_server


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


async def test_as_configured_the_mail_holds_the_link_to_its_case_and_the_desk_wakes_the_loop(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box, mail_server() as server:
        links = CustomerLinks(bytes(32), "https://fairuse.example.net", lambda: box.now)
        settings = Contact(
            link_valid=Duration(7 * 86400),
            group_interval=Duration(0),
            smtp=Smtp(
                host="127.0.0.1", port=server.port, security="none", sender="fairuse@north.example"
            ),
        )
        policies = PolicyBook(None, box.directory.plan_of, lambda: box.now)
        dispatcher = build_dispatcher(
            settings,
            policies,
            box.database,
            box.desk,
            links,
            box.directory,
            lambda: box.now,
            LetterTemplates(),
        )
        assert box.desk._ledger.outbox_changed == dispatcher.wake
        await dispatcher.send_due(NOW)
        await dispatcher.close()
        text = server.mails[0].get_body(("plain",))
        assert text is not None
        link = re.search(r"https://fairuse.example.net/c/(\S+)", text.get_content())
        assert link is not None
        assert links.opened_by(link[1]).case_id == samples.CASE_ID
        box.now = NOW + 7 * 86400
        with pytest.raises(LinkRefused, match="expired"):
            links.opened_by(link[1])


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
