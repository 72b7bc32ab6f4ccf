from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from controller.tenants import TenantContact

from controller.cases.lifecycle import time_to_answer_seconds
from controller.cases.model import Closing, Effect, NoticeDocument, NoticeKind
from controller.contact.notice import RenderedNotice, render
from controller.fairshare.policy import Policy
from controller.language.catalogue import languages
from fairuse_protocol.messages import RESOURCES, Resource
from tests.contact import samples

CONTACT = TenantContact(name="Anna")
DANISH = TenantContact(name="Anna", language="da")
EVERY_LANGUAGE = [TenantContact(name="Anna", language=code) for code in languages()]
APPROVED = Path(__file__).parent / "approved"
LATER = samples.NOW + 5 * 3600
_STRAIGHT = str.maketrans("“”", '""')
_ENGLISH = re.compile(r"\b(the|your|of|and|is|we|not|server's|Case|on)\b")


def changes_for(kind: NoticeKind, resource: Resource) -> dict[str, Any]:
    match kind:
        case "first-notice":
            return {}
        case "limit-started":
            return {
                "state": "limited",
                "limit": samples.limit(resource),
                "deadline": samples.NOW + 4 * 3600,
            }
        case "limit-ended":
            return {
                "state": "closed",
                "closing": "relieved",
                "closed_at": LATER,
                "effect": Effect(before=0.23, during=0.04),
            }
        case "closed":
            return {"state": "closed", "closing": "subsided", "closed_at": LATER}


def rendered(kind: NoticeKind, resource: Resource = "cpu", **more: Any) -> RenderedNotice:
    mode = more.pop("mode", "enforce")
    contact = more.pop("contact", CONTACT)
    terms = more.pop("terms", samples.terms())
    about = samples.case(resource, **{**changes_for(kind, resource), **more})
    document = NoticeDocument(case=about, limit=about.limit, mode=mode)
    return render(f"{about.id}-9-{kind}", kind, samples.NOW, document, contact, terms)


def words(notice: RenderedNotice) -> str:
    """The text as one line, so that where it is folded does not matter."""
    return " ".join(notice.text.split())


def html_paragraphs(notice: RenderedNotice) -> list[str]:
    found = re.findall(r"<p[^>]*>(.*?)</p>", notice.html, flags=re.DOTALL)
    plain = (html.unescape(re.sub(r"<[^>]+>", "", each)) for each in found)
    return [" ".join(each.split()) for each in plain if each.strip()]


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("kind", get_args(NoticeKind))
@pytest.mark.parametrize("mode", ["contact", "enforce"])
@pytest.mark.parametrize("contact", EVERY_LANGUAGE, ids=list(languages()))
def test_every_notice_of_every_resource_is_whole(
    kind: NoticeKind, resource: Resource, mode: str, contact: TenantContact
) -> None:
    notice = rendered(kind, resource, mode=mode, contact=contact)
    for text in (notice.subject, notice.text, notice.html):
        assert "None" not in text
        assert "{{" not in text
        assert "{%" not in text
        assert "  \n" not in text.replace("-- \n", "")
    assert "\n" not in notice.subject
    assert notice.subject.startswith("web-042")
    assert len(notice.subject) < 100
    assert all(len(line) <= 78 or "https://" in line for line in notice.text.splitlines())
    assert "\n\n\n" not in notice.text
    assert "https://fairuse.example.net/c/" in notice.text
    assert "https://fairuse.example.net/c/" in notice.html
    assert f'<html lang="{contact.language}">' in notice.html
    assert (notice.chart_png is not None) == (kind == "first-notice")


@pytest.mark.parametrize("kind", get_args(NoticeKind))
@pytest.mark.parametrize("contact", EVERY_LANGUAGE, ids=list(languages()))
def test_text_and_html_say_the_same(kind: NoticeKind, contact: TenantContact) -> None:
    notice = rendered(kind, contact=contact)
    paragraphs = html_paragraphs(notice)
    assert len(paragraphs) >= 3
    for paragraph in paragraphs:
        assert paragraph.translate(_STRAIGHT).rstrip(".") in words(notice)


def test_the_first_notice_gives_the_evidence_and_the_deadline_from_its_receipt() -> None:
    text = words(rendered("first-notice"))
    assert "used 6.2 of this machine's 8 CPU cores on average, 4.1 times its fair share" in text
    assert "11 of 14 waited 23 % of the time" in text
    assert "22 November 2026, 13:40 to 14:00 UTC" in text
    assert "no sooner than 4 hours after you get this message" in text
    assert "A break-in" in text
    assert '"Do not take a disproportionate share of shared resources."' in text


def test_a_repeat_is_told_its_shorter_time() -> None:
    assert "no sooner than 2 hours" in words(rendered("first-notice", repeat_of="c1"))
    assert time_to_answer_seconds(samples.case(repeat_of="c1"), Policy()) == 2 * 3600


def test_without_enforcement_no_limit_is_spoken_of() -> None:
    text = words(rendered("first-notice", mode="contact"))
    assert "Nothing is limited automatically" in text
    assert "we may limit" not in text


def test_a_policy_without_a_clause_cites_none() -> None:
    text = words(rendered("first-notice", terms=samples.terms(policy_for=lambda case: Policy())))
    assert "Our terms say" not in text


def test_a_started_limit_says_how_much_and_until_when() -> None:
    text = words(rendered("limit-started"))
    assert "up to 3.1 CPU cores" in text
    assert "not below its fair share, which is 1.5 CPU cores" in text
    assert "on 22 November 2026, 18:15 UTC at the latest" in text
    assert "The time that we gave has passed" in text


def test_a_limit_that_staff_ordered_does_not_claim_a_deadline() -> None:
    text = words(rendered("limit-started", deadline=None))
    assert "One of our staff has decided" in text
    assert "The time that we gave" not in text


def test_an_ended_limit_shows_what_it_did() -> None:
    text = words(rendered("limit-ended"))
    assert "Before: 23 % While it stood: 4 %" in text


def test_an_effect_that_was_not_measured_is_left_out() -> None:
    notice = rendered("limit-ended", effect=Effect(before=0.0))
    assert "While it stood" not in notice.text
    assert "Before:         0 %" in notice.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"state": "held", "closing": None}, "One of our staff will look at the case", id="held"
        ),
        pytest.param(
            {"state": "notified", "closing": None, "answers": ("solved",)},
            "You told us that it is solved. The next minutes will show it",
            id="solved",
        ),
        pytest.param({"state": "notified", "closing": None}, "stays open for now", id="suspended"),
    ],
)
def test_an_ended_limit_says_what_becomes_of_the_case(changes: dict[str, Any], said: str) -> None:
    notice = rendered("limit-ended", **changes)
    assert said in words(notice)
    assert "closed the case" not in words(notice)


def test_every_way_to_close_has_its_own_words() -> None:
    texts = {words(rendered("closed", closing=closing)) for closing in get_args(Closing)}
    assert len(texts) == len(get_args(Closing))


def test_names_are_escaped_in_html_and_plain_in_text() -> None:
    notice = rendered(
        "first-notice", tenant="<script>x</script>", contact=TenantContact(name="A & <b>B</b>")
    )
    assert "<script>" not in notice.html
    assert "<b>B</b>" not in notice.html
    assert "&lt;script&gt;" in notice.html
    assert "Hello A & <b>B</b>," in notice.text


def test_the_same_notice_is_rendered_the_same_twice() -> None:
    assert rendered("first-notice") == rendered("first-notice")


@pytest.mark.parametrize("kind", get_args(NoticeKind))
@pytest.mark.parametrize("contact", EVERY_LANGUAGE, ids=list(languages()))
def test_each_kind_of_notice_reads_as_the_approved_one(
    kind: NoticeKind, contact: TenantContact, tmp_path: Path
) -> None:
    notice = rendered(kind, contact=contact)
    name = f"{kind}.{contact.language}.txt"
    found = f"{notice.subject}\n\n{notice.text}"
    (tmp_path / name).write_text(found, encoding="utf-8")
    assert found == (APPROVED / name).read_text(encoding="utf-8"), (
        f"read {tmp_path / name}; if it is as it should be, it is the new {APPROVED / name}"
    )


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("kind", get_args(NoticeKind))
@pytest.mark.parametrize("mode", ["contact", "enforce"])
def test_nothing_in_a_danish_notice_is_left_in_english(
    kind: NoticeKind, resource: Resource, mode: str
) -> None:
    terms = samples.terms(policy_for=lambda case: Policy())
    notice = rendered(kind, resource, mode=mode, contact=DANISH, terms=terms)
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", notice.html, flags=re.DOTALL))
    for text in (notice.subject, notice.text, shown, notice.chart_description):
        assert _ENGLISH.search(text) is None, text


def test_a_danish_notice_writes_times_and_numbers_as_danes_do() -> None:
    text = words(rendered("first-notice", contact=DANISH))
    assert "Målt: 22. november 2026 kl. 13.40 til 14.00 UTC" in text
    assert "6,2 CPU-kerner i gennemsnit" in text
    assert "tidligst 4 timer efter" in text
    started = words(rendered("limit-started", contact=DANISH))
    assert "senest den 22. november 2026 kl. 18.15 UTC" in started


def test_every_way_to_close_has_its_own_danish_words() -> None:
    texts = {
        words(rendered("closed", closing=closing, contact=DANISH)) for closing in get_args(Closing)
    }
    assert len(texts) == len(get_args(Closing))
