from __future__ import annotations

import re
from typing import get_args
from urllib.parse import urljoin

import pytest

from controller.cases.answers import answer, possible_answers
from controller.cases.model import AnswerKind, State
from controller.cases.steps import CaseRefused
from controller.fairshare.policy import Policy
from controller.language.catalogue import languages
from controller.settings import Contact
from controller.web.customer_forms import LONGEST_NOTE
from controller.web.customer_words import refusal
from tests.cases.world import CALM
from tests.contact import samples
from tests.web.customers import FILLED_IN, KINDS, Customer
from tests.web.pages import Page

PROVIDER = Contact().provider_name


def kinds(page: Page) -> list[str]:
    return [form.rpartition("/")[2] for form in page.forms]


async def test_the_page_says_what_was_seen_and_what_happens_when(customer: Customer) -> None:
    page = await customer.get()
    case = await customer.world.only_case()
    assert page.status == 200
    assert "your server hog used 6 of this machine's 8 CPU cores" in page.text
    assert "Nothing is limited before" in page.text
    assert "Our message was sent to you by mail." in page.text
    assert case.id in page.text
    assert 'role="img"' in page.html
    assert kinds(page) == KINDS


async def test_the_page_is_never_stored_indexed_framed_or_named_to_others(
    customer: Customer,
) -> None:
    page = await customer.get()
    assert page.headers["Cache-Control"] == "no-store"
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.problems == []


async def test_opening_the_link_changes_nothing(customer: Customer) -> None:
    before = await customer.world.only_case()
    for _ in range(3):
        page = await customer.get()
        for action in page.forms:
            assert (await customer.get(urljoin(page.url, action))).status == 405
    assert await customer.world.only_case() == before


@pytest.mark.parametrize("kind", ["acknowledge", "more-time", "solved", "dispute"])
async def test_each_button_reaches_the_desk_and_leads_back_to_the_page(
    customer: Customer, kind: str
) -> None:
    page = await customer.say(kind, "It was our <b>backup</b>.")
    assert page.status == 200
    assert page.url.endswith(f"?said={kind}")
    assert (await customer.world.only_case()).answers == (kind,)
    assert "It was our &lt;b&gt;backup&lt;/b&gt;." in page.html
    assert kind not in kinds(page) or kind == "more-time"


async def test_what_was_said_once_cannot_be_said_twice(customer: Customer) -> None:
    stale = await customer.get()
    await customer.say("solved")
    (action,) = (form for form in stale.forms if form.endswith("solved"))
    page = await customer.post(urljoin(stale.url, action), "And it was a backup.")
    assert page.status == 409
    assert "You have told us this already" in page.text
    # The page that refuses is not where the first one was; its own forms have to work from there.
    (again,) = (form for form in page.forms if form.endswith("acknowledge"))
    assert (await customer.post(urljoin(page.url, again))).status == 200


@pytest.mark.parametrize("kind", ["acknowledge", "solved", "dispute"])
async def test_a_second_click_on_the_same_button_ends_on_the_same_page(
    customer: Customer, kind: str
) -> None:
    stale = await customer.get()
    first = await customer.say(kind, "It was our backup.")
    answered = await customer.world.only_case()
    (action,) = (form for form in stale.forms if form.endswith(kind))
    second = await customer.post(urljoin(stale.url, action), "It was our backup.")
    assert (second.status, second.url, second.text) == (200, first.url, first.text)
    assert await customer.world.only_case() == answered


async def test_a_standing_limit_is_explained(customer: Customer) -> None:
    await customer.served.limited()
    page = await customer.get()
    assert "it may use up to" in page.text
    assert "not below its fair share" in page.text
    assert "more-time" not in kinds(page)
    assert "A limit started." in page.text


async def test_a_case_in_a_persons_hands_offers_no_buttons(customer: Customer) -> None:
    await customer.world.desk.hold(customer.case_id, by="otto", reason="a secret reason")
    page = await customer.get()
    assert page.forms == []
    assert "One of our staff is looking at this case" in page.text
    assert "otto" not in page.text
    assert "secret reason" not in page.text


async def test_a_closed_case_says_how_it_ended_and_nothing_more(customer: Customer) -> None:
    await customer.world.until(lambda case: case.state == "closed", used=CALM, waiting=0.0)
    page = await customer.get()
    assert page.status == 200
    assert "How it ended" in page.text
    assert "no longer see what we wrote to you about" in page.text
    assert page.forms == []
    for kept in ("hog", "Machine", "<svg", "CPU"):
        assert kept not in page.html
    assert (await customer.get(customer.link() + "/use")).status == 404


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_case_takes_nothing(customer: Customer, kind: str) -> None:
    await customer.world.desk.dismiss(customer.case_id, by="otto", reason="a mistake")
    before = await customer.world.desk.case(customer.case_id)
    page = await customer.post(f"{customer.link()}/{kind}", **FILLED_IN)
    assert page.status == 409
    assert "This case is closed" in page.text
    assert await customer.world.desk.case(customer.case_id) == before


async def test_links_that_open_nothing_all_look_the_same(customer: Customer) -> None:
    good = customer.link()
    expired = customer.link(valid=-1)
    unknown = (
        f"{customer.served.url}/c/"
        + customer.links.url_for("nosuchcase", customer.world.now + 60).rpartition("/")[2]
    )
    pages = [
        await customer.get(url)
        for url in (expired, unknown, good[:-1], good.replace("/c/", "/c/x"))
    ]
    assert {page.status for page in pages} == {404}
    assert len({page.html for page in pages}) == 1
    assert "hog" not in pages[0].html
    assert pages[0].headers["Cache-Control"] == "no-store"


async def test_a_bad_link_changes_nothing(customer: Customer) -> None:
    page = await customer.post(customer.link(valid=-1) + "/solved")
    assert page.status == 404
    assert (await customer.world.only_case()).answers == ()


async def test_a_link_does_not_answer_what_is_not_offered(customer: Customer) -> None:
    page = await customer.post(customer.link() + "/approve")
    assert page.status == 404


async def test_a_note_that_is_too_long_is_refused(customer: Customer) -> None:
    page = await customer.post(customer.link() + "/solved", "x" * (LONGEST_NOTE + 1))
    assert page.status == 400
    assert (await customer.world.only_case()).answers == ()


async def test_a_note_keeps_its_lines_and_loses_control_characters(customer: Customer) -> None:
    await customer.say("solved", "one\r\ntwo\x00\x1b[31m")
    entries = await customer.world.desk.timeline(customer.case_id)
    assert any(entry.text.endswith("They wrote: one\ntwo  [31m") for entry in entries)


async def test_a_form_of_another_kind_is_refused(customer: Customer) -> None:
    async with customer.session.post(customer.link() + "/solved", json={"note": ""}) as response:
        assert response.status == 415


async def test_everything_that_the_page_loads_is_there(customer: Customer) -> None:
    for name in ("fairuse.css", "fairuse.svg", "look-again.js"):
        async with customer.session.get(f"{customer.served.url}/static/{name}") as response:
            assert response.status == 200


async def test_the_page_speaks_the_tenants_language(danish: Customer) -> None:
    page = await danish.get()
    assert '<html lang="da">' in page.html
    assert "har din server hog i gennemsnit brugt 6 af maskinens 8 CPU-kerner" in page.text
    assert "Der bliver ikke begrænset noget før den" in page.text
    assert "Vores besked er sendt til dig med mail." in page.text
    assert kinds(page) == KINDS
    assert page.problems == []
    assert re.search(r"\b(the|your|of|and|is|we|not)\b", page.text.replace(PROVIDER, "")) is None


async def test_the_page_speaks_the_language_of_the_letter_that_its_link_stood_in(
    customer: Customer,
) -> None:
    url = customer.links.url_for(customer.case_id, customer.world.now + 60, "da")
    page = await customer.get(f"{customer.served.url}/c/{url.rpartition('/')[2]}")
    assert '<html lang="da">' in page.html
    answered = await customer.post(f"{page.url}/acknowledge")
    assert "Du har fortalt, at du undersøger det." in answered.text
    assert '<html lang="en">' in (await customer.get()).html


async def test_a_danish_answer_is_thanked_for_and_told_in_danish(danish: Customer) -> None:
    page = await danish.say("acknowledge", "Det var vores <b>backup</b>.")
    assert page.text.count("Du har fortalt, at du undersøger det.") == 2
    assert "Det var vores &lt;b&gt;backup&lt;/b&gt;." in page.html
    assert "Fristen blev forlænget." in page.text
    again = await danish.post(danish.link() + "/acknowledge")
    assert again.status == 409
    assert "Det har du allerede fortalt os" in again.text


async def test_a_danish_limit_and_its_end_are_told_in_danish(danish: Customer) -> None:
    await danish.served.limited()
    limited = await danish.get()
    assert "Din servers CPU-tid er begrænset: Den kan bruge op til" in limited.text
    assert "Begrænsningen ophæves med det samme, og vi måler efter" in limited.text
    await danish.world.desk.dismiss(danish.case_id, by="otto", reason="a secret reason")
    closed = await danish.get()
    assert "Hvordan det endte" in closed.text
    assert "En af vores medarbejdere har set på det og lukket sagen." in closed.text


async def test_a_link_that_opens_nothing_says_so_as_the_browser_asks(customer: Customer) -> None:
    url = customer.link(valid=-1)
    for wanted, lang in (
        ("da-DK,da;q=0.9,en;q=0.8", "da"),
        ("fr,en-GB;q=0.8", "en"),
        ("xx,,;q", "en"),
        ("", "en"),
    ):
        async with customer.session.get(url, headers={"Accept-Language": wanted}) as response:
            assert f'<html lang="{lang}">' in await response.text()


@pytest.mark.parametrize("state", ["watching", "limited", "held", "closed"])
@pytest.mark.parametrize("kind", get_args(AnswerKind))
def test_every_refusal_of_an_answer_is_known_to_the_catalogues(
    state: State, kind: AnswerKind
) -> None:
    answered = samples.case(state=state, answers=(kind,) if state == "watching" else ())
    if kind in possible_answers(answered):
        return
    with pytest.raises(CaseRefused) as refused:
        answer(answered, kind, "", Policy(), now=samples.NOW)
    assert refusal(str(refused.value), languages()["da"]) != str(refused.value)
