"""Mail that is made to do harm: refused, or read as what it is, in bounded time and memory."""

from __future__ import annotations

import email.parser
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.contact.inbound.judging import Hostile, NotOurs, OfACase, judge
from controller.contact.inbound.letter import READ_BYTES
from controller.contact.inbound.text import LONGEST_NOTE, LONGEST_TEXT
from tests.contact import samples
from tests.mail.letters import ADDRESSES, CASE, LETTER, mail, report

LONGEST_SECONDS = 10.0
"""Of processor time: some hundred times what a mail takes, as slow as shared machines are."""
KIB = 1024

WORDS = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=\n",
        b"Content-Type: message/delivery-status\n\n",
        b"Content-Type: text/html; charset=punycode\n\n",
        b"Content-Type: text/plain; charset*0*=utf-7''%ff; charset=\"\n\n",
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: x-uuencode\n",
        b"Subject: =?utf-7?B?////?= =?x?q?=??=\n",
        b"From: ((((\n",
        b"Auto-Submitted: \xff;\n",
        b"Return-Path: <>\n",
        b"Action: failed\nFinal-Recipient: ;;@\n\n",
        b"--b\n",
        b"--b--\n",
        b"\n\n",
        b"<div><!-- <![CDATA[ \x00 &#xd800;",
        b"On 1 Jan x@y wrote:\n>",
        b"+2AA-",
        b"\x00\xff\xfe",
    ]
)
MUTATED = st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=30).map(b"".join)


def judged_harmlessly(raw: bytes) -> None:
    found = judge(raw, ADDRESSES)
    if isinstance(found, NotOurs | Hostile):
        return
    assert isinstance(found, OfACase)
    assert found.about.id in (samples.CASE_ID, samples.FIRST_NOTICE)
    for text, longest in (
        (found.said.text, LONGEST_TEXT),
        (found.said.words, LONGEST_NOTE),
        (found.said.subject, 200),
        (found.said.sender, 200),
    ):
        assert len(text) <= longest
        assert text.replace("\n", "").isprintable()
        text.encode("utf-8")


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_judged_without_an_exception(raw: bytes) -> None:
    judged_harmlessly(raw)


@given(st.sampled_from([CASE, LETTER, "x@y"]), MUTATED)
@settings(max_examples=200, deadline=None)
def test_any_mail_to_a_case_is_judged_without_an_exception(to: str, rest: bytes) -> None:
    judged_harmlessly(b"To: " + to.encode() + b"\n" + rest)


@given(
    st.sampled_from([mail(), report(), mail("<p>a</p>", content_type="text/html")]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8), st.integers(0, 8)), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_a_mail_that_was_damaged_on_its_way_goes_to_its_case_or_to_none(
    raw: bytes, damages: list[tuple[float, bytes, int]]
) -> None:
    for where, put_in, left_out in damages:
        at = int(where * len(raw))
        raw = raw[:at] + put_in + raw[at + left_out :]
    judged_harmlessly(raw)


def nested(levels: int) -> bytes:
    raw = f"To: {CASE}\n".encode()
    for level in range(levels):
        raw += f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n".encode()
    return raw


HEAD = f"To: {CASE}\n".encode()
BOMBS = {
    "headers": HEAD + b"X: y\n" * 100_000,
    "one-long-header": HEAD + b"X: " + b"y" * 500_000,
    "one-long-line": HEAD + b"\n" + b"y" * 500_000,
    "nested-too-deep": nested(8000),
    "nested-messages": HEAD + b"Content-Type: message/rfc822\n\n" * 15_000,
    "nested-as-deep-as-may-be": nested(20) + b"\nx" * 200_000,
    "parts": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\n\n" * 1000
    + b"\nx" * 200_000,
    "too-many-parts": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\n\n" * (90 * KIB),
    "parameters": HEAD + b'Content-Type: text/plain; a="' + b";" * 60_000 + b"\n\nx",
    "parameters-of-a-part": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
    + b'Content-Type: text/plain; a="'
    + b";" * 400_000
    + b"\n\nx\n--b--\n",
    "continued-parameters": HEAD
    + b"Content-Type: text/plain"
    + b"".join(b"; a*%d*=%%41" % number for number in range(5000))
    + b"\n\nx",
    "blocks-of-a-report": HEAD.replace(CASE.encode(), LETTER.encode())
    + b"Content-Type: multipart/report; boundary=b\n\n--b\n"
    + b"Content-Type: message/delivery-status\n\n"
    + b"a: b\n\n" * 80_000,
    "punycode": HEAD + b"Content-Type: text/plain; charset=punycode\n\n" + b"a" * 500_000,
    "idna": HEAD + b"Content-Type: text/plain; charset=idna\n\n" + b"a." * 250_000,
    "html-too-deep": HEAD + b"Content-Type: text/html\n\n" + b"<div>" * 100_000,
    "html-of-tables": HEAD + b"Content-Type: text/html\n\n" + b"<table><tr><td>" * 33_000,
    "html-entities": HEAD + b"Content-Type: text/html\n\n" + b"&lt;" * 125_000,
    "comments": b"To: " + b"(" * 60_000 + CASE.encode() + b"\n\nx",
    "encoded-words": HEAD + b"Subject: " + b"=?utf-8?q?" * 6000 + b"\n\nx",
    "attributions": HEAD + b"\n" + b"1@ wrote " * 55_000 + b":",
    "many-attributions": HEAD + b"\n" + b"1@\nwrote:x\n" * 45_000,
    "plus-signs": b"To: " + b"fairuse+" * 8000 + b"\n\nx",
    "uuencode": HEAD + b"Content-Transfer-Encoding: uuencode\n\nbegin 644 x\n" + b"M" * 500_000,
}


@pytest.mark.parametrize("bomb", [pytest.param(raw, id=name) for name, raw in BOMBS.items()])
def test_no_mail_takes_much_time_or_memory(bomb: bytes) -> None:
    before, most_before = time.process_time(), most_kib()
    judged_harmlessly(bomb)
    assert time.process_time() - before < LONGEST_SECONDS
    assert most_kib() - most_before < 200 * KIB


def most_kib() -> int:
    """The most memory that this process ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_only_the_beginning_is_ever_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    parse = email.parser.BytesParser.parsebytes

    def spy(self: object, text: bytes, headersonly: bool = False) -> object:
        seen.append(len(text))
        return parse(self, text, headersonly)  # type: ignore[arg-type]  # a parser, from the class

    monkeypatch.setattr(email.parser.BytesParser, "parsebytes", spy)
    judged_harmlessly(mail("x\n" * READ_BYTES))
    assert seen == [READ_BYTES]
