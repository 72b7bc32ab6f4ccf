"""What became of a case's notices, on the screen of `fairuse case`."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from controller.storage.told import DeliveryTry, TryOutcome
from controller.web.messages import CaseAnswer, Notice
from fairuse_cli.case_screen import case_screen
from tests.contact import samples

NOW = samples.NOW


def tried(outcome: TryOutcome, answer: str, *, contact: str = "technical") -> DeliveryTry:
    return DeliveryTry("n1", NOW, contact, "email", outcome, answer)


def shown(*deliveries: DeliveryTry, **changes: object) -> str:
    """The screen of a case with one notice, as one line."""
    fields: dict[str, object] = {
        "id": "n1",
        "kind": "first-notice",
        "queued_at": NOW,
        "tries": len(deliveries),
        "next_try_at": None,
        "accepted_at": None,
        "failed_at": None,
        "channel": None,
        "answer": "",
        "letter": "n1",
        "deliveries": deliveries,
    }
    answer = CaseAnswer(
        at=NOW + 3600,
        sentence="web-042 used much.",
        case=samples.case(),
        timeline=(),
        notices=(Notice(**(fields | changes)),),  # type: ignore[arg-type]  # as above
        order=None,
        agreements=(),
        mails=(),
    )
    out = io.StringIO()
    Console(file=out, width=200).print(case_screen(answer, width=200, plain=True))
    return " ".join(out.getvalue().rpartition("Notices (UTC)")[2].split())


def test_an_accepted_notice_is_told_once() -> None:
    text = shown(
        tried("accepted", "250 ok"), accepted_at=NOW, channel="email", answer="250 ok", tries=1
    )
    assert text.count("250 ok") == 1


def test_every_try_that_did_not_end_it_is_told_with_the_servers_words() -> None:
    text = shown(
        tried("refused", "550 gone"),
        tried("deferred", "451 greylisted", contact="abuse"),
        next_try_at=NOW + 4000,
        tries=1,
        answer="email: 451 greylisted",
    )
    assert "tried once, next" in text
    assert "technical, email: refused: 550 gone" in text
    assert "abuse, email: deferred: 451 greylisted" in text


def test_of_many_tries_the_last_are_shown_and_the_others_counted() -> None:
    text = shown(*(tried("deferred", f"451 number {n}") for n in range(10)), next_try_at=NOW + 4000)
    assert "4 tries before" in text
    assert "number 9" in text
    assert "number 3" not in text


def test_one_try_is_one_and_a_bounce_names_whom_it_was_for_as_far_as_that_is_known() -> None:
    text = shown(
        tried("accepted", "250 ok"),
        tried("bounced", "anna@example.org: 550 gone"),
        tried("bounced", "old@example.org: 550 gone", contact=""),
        failed_at=NOW,
        answer="550 gone",
        tries=1,
    )
    assert "given up after 1 try: 550 gone" in text
    assert "technical, email: bounced: anna@example.org" in text
    assert re.search(r"\d email: bounced: old@example.org", text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"next_try_at": NOW + 7200}, "to be sent"),
        ({"failed_at": NOW, "answer": "one too many"}, "not sent: one too many"),
    ],
)
def test_what_was_not_tried_says_so(changes: dict[str, object], words: str) -> None:
    assert words in shown(letter=None, **changes)
