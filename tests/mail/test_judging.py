from __future__ import annotations

from typing import get_args

import pytest

from controller.cases.model import NoticeKind
from controller.contact.addresses import CaseAddresses, ForCase, ForLetter
from controller.contact.inbound.judging import (
    AutoReply,
    Bounce,
    Hostile,
    NotOurs,
    Progress,
    Reply,
    judge,
)
from controller.contact.inbound.text import LONGEST_NOTE, LONGEST_TEXT, own_words
from tests.contact import samples
from tests.mail.letters import ADDRESSES, CASE, LETTER, MAILBOX, mail, report

A_CASE = ForCase(samples.CASE_ID)
A_LETTER = ForLetter(samples.FIRST_NOTICE)


def test_a_persons_answer_is_a_reply_to_its_case() -> None:
    found = judge(mail(), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.about == A_CASE
    assert found.said.sender == "Anna <anna@example.org>"
    assert found.said.subject == "Re: fair use"
    assert found.said.text == "We are looking into it."


def test_a_person_who_writes_to_the_envelopes_sender_is_heard_as_well() -> None:
    found = judge(mail(to=LETTER), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.about == A_LETTER


def test_the_case_of_a_mail_server_that_changes_letters_to_capitals_is_found() -> None:
    found = judge(mail(to=CASE.upper()), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.about == A_CASE


def test_where_it_was_delivered_to_counts_before_whom_else_it_was_written_to() -> None:
    other = ADDRESSES.for_replies("c0123456789")
    found = judge(mail(to=other, headers=f"Delivered-To: {CASE}\n"), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.about == A_CASE


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-replied; owner-email=anna@example.org\n",
        "Auto-Submitted: Auto-Generated (by a ticket system)\n",
        "Precedence: bulk\n",
        "Precedence: auto_reply\n",
        "X-Auto-Response-Suppress: All\n",
        "X-Autoreply: yes\n",
        "List-Id: <all.example.org>\n",
    ],
)
@pytest.mark.parametrize("to", [CASE, LETTER])
def test_what_a_program_answers_is_no_persons_answer(headers: str, to: str) -> None:
    found = judge(mail("I am on holiday.", headers=headers, to=to), ADDRESSES)
    assert isinstance(found, AutoReply)
    assert found.why
    assert found.said.words == "I am on holiday."


def test_an_absence_told_to_the_envelopes_sender_by_nobody_is_not_a_bounce() -> None:
    headers = "Return-Path: <>\nAuto-Submitted: auto-replied\n"
    assert isinstance(judge(mail(headers=headers, to=LETTER), ADDRESSES), AutoReply)


def test_what_comes_from_nobody_to_a_case_is_no_persons_answer() -> None:
    assert isinstance(judge(mail(headers="Return-Path: <>\n"), ADDRESSES), AutoReply)


def test_auto_submitted_no_is_a_person() -> None:
    assert isinstance(judge(mail(headers="Auto-Submitted: no\n"), ADDRESSES), Reply)


def test_a_report_of_failure_is_a_bounce_with_the_servers_words() -> None:
    found = judge(report(), ADDRESSES)
    assert isinstance(found, Bounce)
    assert found.about == A_LETTER
    assert found.recipients == ("anna@example.org",)
    assert found.reason == "mx2.example.org: 550 5.1.1 no such user"


@pytest.mark.parametrize(
    ("action", "delayed"), [("delayed", True), ("relayed", False), ("delivered", False)]
)
def test_a_report_that_is_not_of_failure_is_progress(action: str, delayed: bool) -> None:
    found = judge(report(action), ADDRESSES)
    assert isinstance(found, Progress)
    assert found.delayed is delayed


def test_a_report_of_one_failure_and_one_delay_is_a_bounce_of_the_one() -> None:
    more = "\nFinal-Recipient: rfc822; bo@example.org\nAction: failed\nStatus: 5.0.0\n"
    found = judge(report("delayed", more=more), ADDRESSES)
    assert isinstance(found, Bounce)
    assert found.recipients == ("bo@example.org",)


def test_a_report_that_says_nothing_readable_is_a_bounce_of_all() -> None:
    found = judge(report().replace(b"Action:", b"Fiction:"), ADDRESSES)
    assert isinstance(found, Bounce)
    assert found.recipients == ()


def test_a_bounce_of_an_old_kind_is_known_by_its_address() -> None:
    text = "Hi. This is the qmail-send program. I'm afraid I wasn't able to deliver.\n"
    found = judge(mail(text, headers="Return-Path: <>\n", to=LETTER), ADDRESSES)
    assert isinstance(found, Bounce)
    assert found.recipients == ()


def test_a_bounce_as_exim_writes_it_names_its_recipient() -> None:
    headers = (
        "Return-Path: <>\nX-Failed-Recipients: Anna@example.org\nAuto-Submitted: auto-replied\n"
    )
    found = judge(mail(headers=headers, to=LETTER), ADDRESSES)
    assert isinstance(found, Bounce)
    assert found.recipients == ("anna@example.org",)


def test_a_bounce_inside_the_mail_that_is_sent_back_is_not_this_ones() -> None:
    inner = report().decode()
    outer = mail(
        f"--o\nContent-Type: text/plain\n\nsee below\n\n--o\nContent-Type: message/rfc822\n\n"
        f"{inner}\n--o--\n",
        content_type='multipart/mixed; boundary="o"',
    )
    found = judge(outer, ADDRESSES)
    assert isinstance(found, Reply)
    assert found.said.words == "see below"


@pytest.mark.parametrize("to", ["anna@example.org", MAILBOX, "x-" + CASE, CASE + ".evil.example"])
def test_mail_to_others_is_not_ours(to: str) -> None:
    assert judge(mail(to=to), ADDRESSES) == NotOurs()


@pytest.mark.parametrize(
    "to",
    [
        CASE.replace(samples.CASE_ID, "c0000000000"),
        LETTER.replace("b.", ""),
        CASE.replace("+", "+b."),
        CaseAddresses(bytes(32), MAILBOX).for_replies(samples.CASE_ID),
        f"fairuse+{samples.CASE_ID}@north.example",
    ],
)
def test_nobody_writes_into_a_case_without_its_address(to: str) -> None:
    found = judge(mail(to=to), ADDRESSES)
    assert isinstance(found, Hostile)
    assert "signature" in found.why


@pytest.mark.parametrize("kind", get_args(NoticeKind))
def test_the_local_part_of_the_longest_address_fits(kind: str) -> None:
    addresses = CaseAddresses(bytes(32), "kundeservice@north.example")
    longest = addresses.for_bounces(f"{samples.CASE_ID}-12345-{kind}")
    assert len(longest.partition("@")[0]) <= 64
    with pytest.raises(ValueError, match="expected 1 to 32"):
        addresses.for_bounces("a" * 33)


def test_html_is_read_as_text() -> None:
    html = "<html><style>p {}</style><p>We found it.</p><p>A <b>crawler</b>.</p></html>"
    found = judge(mail(html, content_type="text/html"), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.said.text == "We found it.\n\nA crawler."


def test_text_is_preferred_to_html_and_attachments_are_no_text() -> None:
    parts = (
        '--o\nContent-Type: text/plain\nContent-Disposition: attachment; filename="log"\n\nlog\n\n'
        "--o\nContent-Type: text/html\n\n<p>html</p>\n\n"
        "--o\nContent-Type: text/plain\n\nplain\n\n--o--\n"
    )
    found = judge(mail(parts, content_type='multipart/mixed; boundary="o"'), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.said.text == "plain"


@pytest.mark.parametrize(
    "quotation",
    [
        "On Sun, 22 Nov 2026 at 15:00, Northwind <fairuse@north.example>\nwrote:\n> WHAT WE SAW\n",
        "Den søn. 22. nov. 2026 kl. 15.00 skrev Northwind:\n> HVAD VI SÅ\n",
        "-----Original Message-----\nFrom: Northwind\nWHAT WE SAW\n",
        "________________________________\nFra: Northwind\nSendt: i dag\nWHAT\n",
        "From: Northwind <fairuse@north.example>\nSent: Sunday\nTo: Anna\nWHAT\n",
        "On 22/11/2026 Northwind wrote:\nWHAT WE SAW, out of HTML\n",
        "--\nAnna, +45 12 34 56 78\n",
    ],
)
def test_what_is_quoted_is_cut_off(quotation: str) -> None:
    assert own_words(f"We are on it.\n\n{quotation}") == "We are on it."


def test_an_answer_below_what_is_quoted_is_kept() -> None:
    text = "On 22/11/2026 Northwind wrote:\n> Is it you?\nYes.\n> Please look.\nWe do.\n"
    assert own_words(text) == "Yes.\nWe do."


def test_a_mail_that_only_quotes_is_shown_as_it_is() -> None:
    assert own_words("> WHAT WE SAW\n") == "> WHAT WE SAW"


def test_words_that_look_a_little_like_a_quotation_stay() -> None:
    text = "As I wrote:\nfrom here on it is fixed.\n5 > 3"
    assert own_words(text) == text


def test_what_is_kept_of_a_long_text_is_bounded() -> None:
    found = judge(mail("word " * 100_000), ADDRESSES)
    assert isinstance(found, Reply)
    assert len(found.said.text) <= LONGEST_TEXT
    assert len(found.said.words) <= LONGEST_NOTE
    assert found.said.text.endswith("[...]")


def test_of_a_huge_mail_the_beginning_is_read() -> None:
    parts = (
        "--o\nContent-Type: text/plain\n\nSee the picture.\n\n"
        "--o\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + "QUJD\n" * 4_000_000
    )
    found = judge(mail(parts, content_type='multipart/mixed; boundary="o"'), ADDRESSES)
    assert isinstance(found, Reply)
    assert found.said.words == "See the picture."
