from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from controller.tenants import TenantContact
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
from controller.contact.links import CustomerLinks, LinkRefused
from controller.contact.mail import MailChannel
from controller.contact.notice import RenderedNotice
from controller.fairshare.policy import Policy
from controller.settings import Contact, Mode, Smtp
from controller.storage import notices
from controller.storage.database import Database
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.contact.servers import mail_server

NOW = samples.NOW
RETRY_FOR = 3600.0
MAIL = '[[tenants.web-042.contacts]]\nemail = ["anna@example.org"]\n'
BOTH = MAIL + 'channels = ["email", "webhook"]\n'


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
        self.now = NOW

    def dispatcher(self, *channels: Channel) -> Dispatcher:
        return Dispatcher(
            self.database,
            self.desk,
            channels,
            self.directory,
            samples.terms(),
            retry_for=RETRY_FOR,
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
    database = await Database.open(f"sqlite+aiosqlite:///{directory}/fairuse.db")
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
        for now in (NOW, NOW + 10):
            await dispatcher.send_due(now)
            assert (await box.case()).state == "watching"
        await dispatcher.send_due(NOW + 30)
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

    async def crash(*_: Any) -> None:
        raise Crash

    async with outbox(tmp_path) as box:
        mail = accepts("email")
        with monkeypatch.context() as patch:
            patch.setattr(box.desk, "notice_accepted", crash)
            with pytest.raises(Crash):
                await box.dispatcher(mail).send_due(NOW)
        assert (await box.row()).accepted_at is None
        await box.dispatcher(mail).send_due(NOW + 60)
        assert (await box.row()).accepted_at == NOW
    assert mail.ids == [samples.FIRST_NOTICE] * 2


async def test_a_store_that_is_away_for_a_moment_does_not_send_the_notice_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: Any) -> None:
        raise sa.exc.OperationalError("", {}, Exception("the database is locked"))

    async with outbox(tmp_path) as box:
        mail = accepts("email")
        dispatcher = box.dispatcher(mail)
        with monkeypatch.context() as patch:
            patch.setattr(box.desk, "notice_accepted", away)
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
    assert 'no way to reach "web-042"' in case.held_because
    assert mail.ids == []


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
        assert row.next_try_at == NOW + 10
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
    about = samples.document(limit=samples.limit())
    reason = overtaken("limit-started", about, samples.case(limit=now_standing))
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


async def test_as_configured_the_mail_holds_the_link_to_its_case_and_the_desk_wakes_the_loop(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path) as box, mail_server() as server:
        links = CustomerLinks(bytes(32), "https://fairuse.example.net", lambda: box.now)
        settings = Contact(
            link_valid=Duration(100),
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


@given(st.integers(1, 10_000))
def test_waits_grow_and_stay_bounded(tries: int) -> None:
    assert 10 <= retry_delay_seconds(tries) <= retry_delay_seconds(tries + 1) <= 1800


@given(
    tries=st.integers(1, 50),
    waited=st.floats(0, 10 * RETRY_FOR),
    refusals=st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_a_notice_is_retried_in_time_or_given_up(
    tries: int, waited: float, refusals: list[bool]
) -> None:
    now = NOW + waited
    outcome = after_refusals(
        [Refused("email", "no", for_good) for for_good in refusals],
        tries=tries,
        queued_at=NOW,
        now=now,
        retry_for=RETRY_FOR,
    )
    if all(refusals) or now >= NOW + RETRY_FOR:
        assert isinstance(outcome, GiveUp)
    else:
        assert isinstance(outcome, RetryAt)
        assert now < outcome.at <= NOW + RETRY_FOR
