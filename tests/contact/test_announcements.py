from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any, get_args

import pytest

from controller.contact.mail import compose
from controller.fairshare.agreement import AgreementKind
from controller.fairshare.policy import LimitTerms, Severities
from fairuse_protocol.units import Duration
from tests.contact import samples
from tests.contact.letters import agreement_ended, anna, policy_change

_QUOTED = re.compile(r"Use what is free\..*?need\.|Do not take.*?resources\.")
"""The providers' words, which stay as they are."""
_ENGLISH = re.compile(r"\b(the|your|of|and|is|we|not|agreed|until|case)\b")


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_change_of_policy_says_from_when_and_what_differs() -> None:
    text = flat(policy_change(anna()).text)
    assert "change on 1 January 2027, in 39 days" in text
    assert "when most others wait long: 1 hour now, 30 minutes from then on" in text
    assert "Longest limit: 15 minutes now, 10 minutes from then on" in text
    assert "when many others wait:" not in text, "what stays is not listed"
    assert "possible until 1 April 2027" in text
    assert '"Use what is free. Leave what others need."' in text


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        pytest.param(LimitTerms(headroom=1.5), True, id="details only"),
        pytest.param(LimitTerms(lease=Duration(600)), False, id="what customers meet only"),
    ],
)
def test_details_of_measuring_are_spoken_of_only_when_they_change(
    limit: LimitTerms, said: bool
) -> None:
    letter = policy_change(anna(), limit=limit, severity=Severities())
    assert ("some details too" in flat(letter.text)) is said


def test_nobody_is_offered_the_former_version_when_it_cannot_be_kept() -> None:
    text = flat(policy_change(anna(), former_version_for=Duration(0)).text)
    assert "keep the terms" not in text


def test_a_change_without_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the day from which it applies"):
        policy_change(anna(), effective=None, former_version_for=Duration(0))


@pytest.mark.parametrize("kind", get_args(AgreementKind))
def test_the_end_of_an_agreement_says_what_was_agreed_and_what_holds_now(
    kind: AgreementKind,
) -> None:
    changes: dict[str, Any] = {"kind": kind}
    if kind != "share":
        changes["share"] = None
    if kind == "test":
        changes["begins_at"] = changes["recorded_at"] = samples.NOW - 86400
    text = flat(agreement_ended(anna(), **changes).text)
    said = {
        "share": "may use up to 40 % of a machine's CPU time",
        "exempt": "may use as much CPU time as it needs",
        "test": "had agreed to a load test on your server web-042",
    }
    assert said[kind] in text
    assert "held until 22 November 2026, 14:00 UTC" in text
    assert "we write to you first" in text


@pytest.mark.parametrize(
    ("code", "until", "span"),
    [
        ("en", "holds until the end of 31 December 2026.", "UTC to the end of 31 December 2026"),
        (
            "da",
            "gælder indtil den 31. december 2026 ved døgnets udgang.",
            "UTC til 31. december 2026 ved døgnets udgang",
        ),
    ],
)
def test_an_agreement_to_midnight_is_told_to_end_with_the_day_before(
    code: str, until: str, span: str
) -> None:
    midnight = dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp()
    letter = agreement_ended(anna(code), ends_at=midnight)
    assert until in flat(letter.text)
    assert span in flat(letter.text)
    assert "2027" not in letter.text


def test_a_withdrawn_agreement_ended_when_it_was_withdrawn() -> None:
    letter = agreement_ended(
        anna(), withdrawn_at=samples.NOW - 86400, withdrawn_by="ole", withdrawn_because="moved"
    )
    assert "held until 21 November 2026, 14:00 UTC" in flat(letter.text)
    assert "moved" not in letter.text, "the reason is for operators"


@pytest.mark.parametrize("letter", [policy_change, agreement_ended])
def test_an_announcement_is_about_no_case_and_starts_no_thread(letter: Any) -> None:
    made = letter(anna())
    assert made.case_id == ""
    mail = compose(
        made, sender="fairuse@example.net", recipients=("anna@example.org",), now=samples.NOW
    )
    assert mail["References"] is None
    assert mail["Message-ID"] == f"<{made.id}@example.net>"


@pytest.mark.parametrize("letter", [policy_change, agreement_ended])
def test_nothing_in_a_danish_announcement_is_left_in_english(letter: Any) -> None:
    made = letter(anna("da"))
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", made.html, flags=re.DOTALL))
    for text in (made.subject, flat(made.text), flat(shown)):
        assert _ENGLISH.search(_QUOTED.sub("", text)) is None, text


def test_the_day_is_that_of_utc_wherever_the_reader_is() -> None:
    letter = policy_change(anna("en", "America/Los_Angeles"), effective=dt.date(2027, 1, 1))
    assert letter.subject == "Our fair use terms change on 1 January 2027"
