"""What mail that comes back does to its case, in a real store."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from controller.contact.addresses import ForLetter
from controller.contact.inbound.taking import take
from controller.storage import mails, notices, orders, tries
from tests.contact import samples
from tests.mail.letters import ADDRESSES, CASE, mail, report
from tests.mail.office import (
    ANNA,
    BO,
    BOTH_AT_ONCE,
    NOW,
    POLICY,
    THEN_WEBHOOK,
    Office,
    Takes,
    office,
)

HOUR = 3600.0
OTHER = "c0000000042"


async def test_a_reply_counts_as_having_read_the_notice(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        made.now = NOW + HOUR
        assert await made.receive(mail("We found a crawler.\n\n> WHAT WE SAW\n")) == "taken"
        case = await made.case()
        assert case.answers == ("acknowledge",)
        assert case.state == "notified"
        assert case.deadline == NOW + HOUR + POLICY.times.acknowledged
        assert "They wrote: We found a crawler." in await made.told("answered-acknowledge")
        (kept,) = await made.mails()
        assert kept.outcome == "reply"
        assert kept.sender == "Anna <anna@example.org>"
        assert kept.text == "We found a crawler.\n\n> WHAT WE SAW"


async def test_a_second_reply_is_shown_and_changes_nothing_else(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await made.receive(mail("First"))
        deadline = (await made.case()).deadline
        made.now += 60
        await made.receive(mail("Second", message_id="<2@example.org>"))
        case = await made.case()
        assert case.deadline == deadline
        assert case.replied_at == made.now
        assert "They wrote: Second" in await made.told("replied")
        assert [each.text for each in await made.mails()] == ["First", "Second"]


@pytest.mark.parametrize("state", ["limited", "held", "closed"])
async def test_a_reply_that_comes_late_is_shown_and_changes_nothing_else(
    tmp_path: Path, state: str
) -> None:
    async with office(tmp_path) as made:
        await made.send()
        if state == "limited":
            await made.limit()
        elif state == "held":
            await made.desk.hold(samples.CASE_ID, by="otto", reason="a talk on the telephone")
        else:
            await made.desk.dismiss(samples.CASE_ID, by="otto", reason="a talk on the telephone")
        before = await made.case()
        await made.receive(mail())
        after = await made.case()
        assert after.state == state
        assert (after.answers, after.deadline, after.limit) == ((), before.deadline, before.limit)
        assert "They wrote: We are looking into it." in await made.told("replied")
        assert len(await made.mails()) == 1


async def test_an_absence_is_on_record_and_no_answer(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        before = await made.case()
        headers = "Return-Path: <>\nAuto-Submitted: auto-replied\n"
        to = ADDRESSES.for_bounces(samples.FIRST_NOTICE)
        await made.receive(mail("I am away until Monday.", headers=headers, to=to))
        case = await made.case()
        assert case.answers == ()
        assert case.deadline == before.deadline
        assert "They wrote: I am away until Monday." in await made.told("auto-reply")
        (kept,) = await made.mails()
        assert kept.outcome == "auto-reply"


async def test_the_same_mail_is_taken_once_whichever_way_it_comes(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        assert await made.receive(mail()) == "taken"
        other_way = mail(headers=f"Delivered-To: {CASE}\nReceived: by another server\n")
        assert await made.receive(other_way) == "duplicate"
        assert len(await made.mails()) == 1
        assert (await made.events()).count("answered-acknowledge") == 1


async def test_two_mails_of_a_program_that_gives_all_the_same_id_are_two(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        assert await made.receive(mail("one")) == "taken"
        assert await made.receive(mail("two")) == "taken"
        assert len(await made.mails()) == 2


async def test_an_answer_to_a_letter_about_several_cases_is_an_answer_in_each(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, ANNA, cases=(OTHER,)) as made:
        await made.send()
        row = await made.notice()
        assert row.letter is not None
        async with made.database.read() as connection:
            assert len(await notices.of_letter(connection, row.letter)) == 2
        await made.receive(mail(to=ADDRESSES.for_bounces(row.letter)))
        for case_id in (samples.CASE_ID, OTHER):
            assert (await made.case(case_id)).answers == ("acknowledge",)
            assert len(await made.mails(case_id)) == 1


async def test_a_first_notice_that_came_back_goes_to_the_next_contact(tmp_path: Path) -> None:
    email = Takes("email")
    async with office(tmp_path, ANNA + BO, email) as made:
        await made.send()
        made.now = NOW + HOUR
        await made.receive(report())
        case, row = await made.case(), await made.notice()
        assert case.state == "watching"
        assert case.deadline is None
        assert case.notice_accepted_at is None
        assert row.accepted_at is None
        assert row.next_try_at == NOW + HOUR
        assert "550 5.1.1 no such user" in await made.told("notice-bounced")
        await made.send()
        case = await made.case()
        assert [to for _, to in email.letters] == [("anna@example.org",), ("bo@example.org",)]
        assert len({letter for letter, _ in email.letters}) == 1
        assert case.state == "notified"
        assert case.deadline is not None
        assert case.deadline > NOW + HOUR
        await made.desk.dismiss(case.id, by="otto", reason="it is ours")
        await made.send()
        assert email.letters[-1][1] == ("bo@example.org",), "who was begun with hears how it ends"


async def test_a_bounce_is_told_once_and_of_the_contact_whom_it_was_for(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await made.receive(report())
        held_because = (await made.case()).held_because
        assert held_because.lower().count("came back") == 1
        assert "anna@example.org: " in held_because
        async with made.database.read() as connection:
            *_, last = await tries.of_case(connection, samples.CASE_ID)
        assert (last.contact, last.outcome) == ("technical", "bounced")


async def test_a_first_notice_that_came_back_goes_to_the_next_channel(tmp_path: Path) -> None:
    email, webhook = Takes("email"), Takes("webhook")
    async with office(tmp_path, THEN_WEBHOOK, email, webhook) as made:
        await made.send()
        await made.receive(report())
        await made.send()
        assert (len(email.letters), len(webhook.letters)) == (1, 1)
        assert (await made.case()).state == "notified"
        assert (await made.notice()).channel == "webhook"


async def test_a_first_notice_that_came_back_from_all_puts_its_case_on_hold(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await made.receive(report())
        case, row = await made.case(), await made.notice()
        assert case.state == "held"
        assert "550 5.1.1 no such user" in case.held_because
        assert row.failed_at == NOW
        assert row.accepted_at is None
        (kept,) = await made.mails()
        assert kept.outcome == "bounce"


async def test_a_case_whose_notice_came_back_from_the_next_contact_too_is_held(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, ANNA + BO) as made:
        await made.send()
        await made.receive(report())
        await made.send()
        await made.receive(report(recipient="bo@example.org"))
        assert (await made.case()).state == "held"


async def test_a_limit_whose_notice_came_back_is_lifted_and_a_person_decides(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, ANNA + BO) as made:
        await made.send()
        await made.limit()
        made.now = NOW + 5 * HOUR
        await made.receive(report())
        case = await made.case()
        assert case.state == "held"
        assert case.limit is None
        assert "came back" in case.held_because
        assert made.desk.limits_for("node-17", made.now) == ()
        async with made.database.read() as connection:
            (order,) = await orders.of_case(connection, samples.CASE_ID)
            told = [row.kind for row in await notices.of_case(connection, samples.CASE_ID)]
        assert order.ended_at == made.now
        assert told[-1] == "limit-ended"
        await made.send()
        assert (await made.case()).notice_accepted_at is None, "a person has taken it over"
        await made.desk.release(case.id, by="otto", reason="Bo is the one to ask")
        assert (await made.case()).state == "watching", "and the customer is written to anew"


async def test_a_limit_that_an_operator_ordered_by_name_stays(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await made.limit(by="otto")
        await made.receive(report())
        case = await made.case()
        assert case.state == "limited"
        assert case.limit is not None
        assert case.notice_accepted_at is None


async def test_no_limit_can_be_stored_on_a_notice_that_came_back(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await made.receive(report())
        with pytest.raises(orders.NoticeNotAccepted, match="promise 1"):
            await made.limit()


async def test_a_bounce_after_an_answer_is_on_record_only(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await made.receive(mail())
        before = await made.case()
        await made.receive(report())
        case = await made.case()
        assert (case.state, case.deadline) == ("notified", before.deadline)
        assert "notice-bounced" in await made.events()


async def test_a_letter_that_one_of_two_recipients_has_was_accepted(tmp_path: Path) -> None:
    async with office(tmp_path, BOTH_AT_ONCE) as made:
        await made.send()
        await made.receive(report())
        case = await made.case()
        assert case.state == "notified"
        assert case.notice_accepted_at == NOW
        await made.receive(report(recipient="BO@example.org"))
        assert (await made.case()).state == "held"


async def test_a_bounce_that_names_an_unknown_address_counts_for_all(tmp_path: Path) -> None:
    async with office(tmp_path, BOTH_AT_ONCE) as made:
        await made.send()
        await made.receive(report(recipient="forwarded@elsewhere.example"))
        assert (await made.case()).state == "held"


async def test_a_bounce_of_an_earlier_acceptance_takes_nothing_back(tmp_path: Path) -> None:
    async with office(tmp_path, ANNA + BO) as made:
        await made.send()
        await made.receive(report())
        await made.send()
        await made.receive(report(code="smtp; 550 5.1.1 told again"))
        case = await made.case()
        assert case.state == "notified"
        assert "told again" in await made.told("notice-bounced")


async def test_a_bounce_that_overtakes_its_acceptance_waits_for_it(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        letter = samples.FIRST_NOTICE
        async with made.database.write() as connection:
            await notices.decide_letter(connection, [letter], letter, NOW)
        assert await made.receive(report()) == "taken"
        assert await made.mails() == []
        await made.send()
        await made.mailroom.judge_taken()
        assert (await made.case()).state == "held"
        assert len(await made.mails()) == 1


async def test_a_delay_is_on_record_only(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.send()
        before = await made.case()
        await made.receive(report("delayed", code="smtp; 451 4.7.1 try later"))
        case = await made.case()
        assert (case.state, case.deadline) == ("notified", before.deadline)
        assert "451 4.7.1 try later" in await made.told("notice-delayed")


async def test_what_is_not_about_a_case_is_not_kept(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        assert await made.receive(mail(to="fairuse@north.example")) == "not-ours"
        assert await made.receive(mail(to="fairuse+c7f3a91d02e.aaaa@north.example")) == "hostile"
        unknown = ADDRESSES.for_replies("c9999999999")
        assert await made.receive(mail(to=unknown)) == "not-ours"
        async with made.database.read() as connection:
            assert await mails.to_judge(connection, 10) == []


async def test_programs_that_answer_each_other_do_not_fill_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mails, "MOST_OF_A_CASE", 3)
    async with office(tmp_path) as made:
        found = [await made.receive(mail(str(number))) for number in range(5)]
        assert found == ["taken", "taken", "taken", "too-many", "too-many"]


async def test_nothing_is_kept_of_the_mail_itself_once_it_is_judged(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        await made.receive(mail())
        async with made.database.read() as connection:
            assert (await connection.execute(sa.text("SELECT raw FROM mails"))).all() == [(None,)]


async def test_mail_that_was_taken_while_no_controller_ran_is_judged_by_the_next(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as made:
        await made.send()
        await take(made.database, ADDRESSES, mail(), NOW)
        channels = (Takes("email"),)
        after_restart = Office(made.database, tmp_path / "tenants.toml", channels)
        await after_restart.desk.start()
        await after_restart.mailroom.judge_taken()
        assert (await after_restart.case()).answers == ("acknowledge",)


def test_the_envelopes_sender_names_the_letter() -> None:
    to = ADDRESSES.for_bounces(samples.FIRST_NOTICE)
    assert ADDRESSES.first_meaning([to]) == ForLetter(samples.FIRST_NOTICE)
