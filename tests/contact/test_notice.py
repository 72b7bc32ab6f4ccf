from __future__ import annotations

import html
import re
from typing import Any, get_args

import pytest

from controller.cases.lifecycle import time_to_answer_seconds
from controller.cases.model import Closing, Effect, NoticeKind
from controller.contact.notice import Queued, RenderedNotice, render
from controller.fairshare.policy import Policy
from controller.language.catalogue import languages
from controller.tenants import TenantContact
from fairuse_protocol.messages import RESOURCES, Resource
from tests.contact import samples
from tests.contact.letters import HOUR, LETTERS, anna, decided_request, grouped, rendered

CONTACT = anna()
DANISH = anna("da")
EVERY_LANGUAGE = [anna(code) for code in languages()]
_STRAIGHT = str.maketrans("“”", '""')
_ENGLISH = re.compile(r"\b(the|your|of|and|is|we|not|server's|Case|on)\b")


def words(notice: RenderedNotice) -> str:
    """The text as one line, so that where it is folded does not matter."""
    return " ".join(notice.text.split())


def html_paragraphs(notice: RenderedNotice) -> list[str]:
    found = re.findall(r"<p[^>]*>(.*?)</p>", notice.html, flags=re.DOTALL)
    plain = (html.unescape(re.sub(r"<[^>]+>", " ", each)) for each in found)
    return [" ".join(each.split()) for each in plain if each.strip()]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"granted_share": None}, "may use as much CPU time as it needs"),
        ({"granted_until": samples.NOW + 86400}, "Until 23 November 2026, 14:00 UTC your server"),
        (
            {"kind": "load-test"},
            "You may test from 22 November 2026, 15:00 UTC until 22 December 2026",
        ),
        ({"kind": "more-time", "granted_share": None}, "Nothing is limited automatically before"),
        (
            {"kind": "more-time", "granted_share": None, "granted_until": samples.NOW + 3600},
            "Nothing is limited automatically before 22 November 2026, 18:00 UTC",
        ),
        ({"kind": "load-test", "state": "refused"}, "We did not consent to your load test."),
        ({"kind": "agreement", "state": "refused"}, "We could not agree to what you asked for."),
    ],
)
def test_a_decision_on_a_request_says_what_holds_now(changes: dict[str, Any], said: str) -> None:
    letter = rendered("decision", requests=(decided_request(**changes),))
    assert said in words(letter)
    assert said in letter.html
    goes_on = changes.get("state") == "refused" or changes.get("kind") == "more-time"
    assert ("After that" in letter.html) == goes_on, "a limit is told of where one may come"


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
    assert all(len(line) <= 72 or "https://" in line for line in notice.text.splitlines())
    assert "\n\n\n" not in notice.text
    assert "https://fairuse.example.net/c/" in notice.text
    assert "https://fairuse.example.net/c/" in notice.html
    assert f'<html lang="{contact.language}">' in notice.html
    assert bool(notice.pictures) == (kind == "first-notice")


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
    assert "Until 22 November 2026, 18:00 UTC Your server keeps running" in text
    assert "You have 4 hours from this message" in text
    assert "A break-in" in text
    assert '"Do not take a disproportionate share of shared resources."' in text


def test_first_notices_about_one_tenant_make_one_letter() -> None:
    notice = grouped(CONTACT)
    assert notice.id == samples.FIRST_NOTICE
    assert notice.subject == (
        "web-042 uses more than its fair share of CPU time and disk time while others wait"
    )
    assert [each.content_id for each in notice.pictures] == ["chart-1", "chart-2", "chart-3"]
    assert [each["case"] for each in notice.data["others"]] == ["c2", "c3"]
    assert words(notice).count("Why we write".upper()) == 1
    for case_id in (samples.CASE_ID, "c2", "c3"):
        link = f"https://fairuse.example.net/c/{case_id}."
        assert notice.text.count(link) == notice.html.count(f'href="{link}') == 1
    assert "CPU TIME ON MACHINE node-18\n" in notice.text, "a machine's name stays as it is"


@pytest.mark.parametrize(
    "queued",
    [
        pytest.param([], id="none"),
        pytest.param(
            [
                Queued("a", "first-notice", samples.NOW, samples.document()),
                Queued("b", "closed", samples.NOW, samples.document()),
            ],
            id="kinds",
        ),
        pytest.param(
            [
                Queued("a", "first-notice", samples.NOW, samples.document()),
                Queued("b", "first-notice", samples.NOW, samples.document(tenant="web-043")),
            ],
            id="tenants",
        ),
    ],
)
def test_what_does_not_belong_in_one_letter_is_refused(queued: list[Queued]) -> None:
    with pytest.raises(ValueError, match="expected one notice, or first notices about one tenant"):
        render(queued, CONTACT, samples.terms(), written_at=samples.NOW)


def test_a_letter_written_after_its_deadline_says_that_a_limit_may_come_now() -> None:
    refused = (decided_request(state="refused"),)
    text = words(rendered("decision", requests=refused, written_at=samples.NOW + 5 * HOUR))
    assert "Until" not in text.partition("What happens when".upper())[2]
    assert "Now If other customers' servers still have to wait" in text


def test_who_has_answered_is_not_told_that_we_have_heard_nothing() -> None:
    text = words(rendered("reminder", answers=("acknowledge",)))
    assert "If other customers' servers still have to wait, we may limit" in text
    assert "After that If other customers' servers still have to wait, and" not in text


def test_a_letter_about_a_dispute_gives_the_answer_and_what_comes_next() -> None:
    text = words(LETTERS["dispute-decided"](CONTACT))
    assert "You told us that we are wrong about the CPU time of your server web-042" in text
    assert "the waiting stops whenever your import pauses" in text
    assert "we may limit your server's CPU time" in text


def test_old_evidence_is_told_with_its_time() -> None:
    text = words(rendered("first-notice", written_at=samples.NOW + 14 * HOUR))
    assert "On 22 November 2026 from 13:40 to 14:00 UTC your server web-042 used" in text
    assert "over the last" not in text.lower()


@pytest.mark.parametrize(
    ("takes_replies", "channels", "invited"),
    [(True, ("email",), True), (False, ("email",), False), (True, ("webhook",), False)],
)
def test_only_who_can_reply_by_mail_is_invited_to(
    takes_replies: bool, channels: tuple[Any, ...], invited: bool
) -> None:
    contact = TenantContact(name="Anna", channels=channels)
    terms = samples.terms(takes_replies=takes_replies)
    text = words(rendered("first-notice", contact=contact, terms=terms))
    assert ("reply to this mail" in text) is invited


def test_a_repeat_says_why_there_is_less_time() -> None:
    assert "That is less than usual" in words(rendered("first-notice", repeat_of="c0"))
    assert "That is less than usual" not in words(rendered("first-notice"))


def test_a_reply_under_a_limit_is_promised_to_be_read_and_no_more() -> None:
    text = words(rendered("limit-started"))
    assert "reaches the case, and one of our staff can read it there" in text
    assert "says that you are looking into it" not in text


def test_a_reminder_names_the_deadline() -> None:
    text = words(rendered("reminder"))
    assert "Until 22 November 2026, 18:00 UTC" in text
    assert "You have 1 hour from this message" in text
    assert "we have not heard from you" in text


def test_a_repeat_is_told_its_shorter_time() -> None:
    assert "You have 2 hours" in words(rendered("first-notice", repeat_of="c1"))
    assert time_to_answer_seconds(samples.case(repeat_of="c1"), Policy()) == 2 * 3600


def test_who_was_told_of_no_limit_reads_that_this_is_over() -> None:
    withdrawn = "That is different now. Your server keeps running as it is"
    assert withdrawn in words(rendered("first-notice", no_limit="withdrawn"))
    assert withdrawn not in words(rendered("first-notice"))


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
    assert "WHAT IT DID" not in notice.text


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


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("kind", get_args(NoticeKind))
@pytest.mark.parametrize("mode", ["contact", "enforce"])
def test_nothing_in_a_danish_notice_is_left_in_english(
    kind: NoticeKind, resource: Resource, mode: str
) -> None:
    terms = samples.terms(policy_for=lambda case: Policy())
    notice = rendered(kind, resource, mode=mode, contact=DANISH, terms=terms)
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", notice.html, flags=re.DOTALL))
    pictured = [each.description for each in notice.pictures]
    for text in (notice.subject, notice.text, shown, *pictured):
        assert _ENGLISH.search(text) is None, text


def test_a_danish_notice_writes_times_and_numbers_as_danes_do() -> None:
    text = words(rendered("first-notice", contact=DANISH))
    assert "Målt: 22. november 2026 kl. 13.40 til 14.00 UTC" in text
    assert "6,2 CPU-kerner i gennemsnit" in text
    assert "Indtil den 22. november 2026 kl. 18.00 UTC" in text
    started = words(rendered("limit-started", contact=DANISH))
    assert "senest den 22. november 2026 kl. 18.15 UTC" in started


def test_every_way_to_close_has_its_own_danish_words() -> None:
    texts = {
        words(rendered("closed", closing=closing, contact=DANISH)) for closing in get_args(Closing)
    }
    assert len(texts) == len(get_args(Closing))
