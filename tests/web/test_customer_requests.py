"""What a customer asks for on their page, what an operator says to it, and what they read of it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest

from controller.contact import wording
from controller.fairshare.policy import Times
from controller.language.catalogue import Language, languages
from controller.web import customer_page
from controller.web.customer_forms import time_offers
from controller.web.customer_reader import Reader
from tests.web.customers import Customer
from tests.web.pages import Page

DAY = 86400.0


async def decide(customer: Customer, step: str, **body: object) -> tuple[int, dict[str, object]]:
    """An operator decides, over the API."""
    headers = {"Authorization": f"Bearer {customer.served.operator}"}
    url = f"{customer.served.url}/api/v1/cases/{customer.case_id}/{step}"
    wanted = {"reason": "as you asked", **body}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=wanted) as response,
    ):
        return response.status, await response.json()


async def ask_for_test(customer: Customer, **changes: str) -> Page:
    fields = {
        "name": "Hanne Hog",
        "from": "1970-01-13T20:00",
        "until": "1970-01-13T22:00",
        "note": "our new shop",
    }
    return await customer.say("load-test", **{**fields, **changes})


async def test_time_within_the_policys_limit_is_granted_at_once(customer: Customer) -> None:
    before = await customer.world.only_case()
    await customer.say("more-time", seconds="300")
    case = await customer.world.only_case()
    assert (case.deadline or 0) - (before.deadline or 0) == 300
    assert case.requests == ()


async def test_time_beyond_it_is_partly_granted_and_the_rest_decided_by_a_person(
    customer: Customer,
) -> None:
    before = await customer.world.only_case()
    page = await customer.say("more-time", "the vendor is slow", seconds="900")
    case = await customer.world.only_case()
    assert (case.deadline or 0) - (before.deadline or 0) == 300
    (request,) = case.requests
    assert request.until - (before.deadline or 0) == 900
    assert "One of our staff will decide." in page.text
    assert page.text.count("the vendor is slow") == 1
    status, _ = await decide(customer, "grant")
    assert status == 200
    assert (await customer.world.only_case()).deadline == request.until
    page = await customer.get()
    assert "Granted on" in page.text
    assert "as you asked" in page.text
    assert "otto" not in page.text


async def test_a_double_click_on_more_time_asks_once_and_shows_what_was_given(
    customer: Customer,
) -> None:
    before = await customer.world.only_case()
    page = await customer.get()
    (action,) = (form for form in page.forms if form.endswith("/more-time"))
    assert '<input type="hidden" name="first" value="yes">' in page.html
    for _ in range(2):
        page = await customer.post(urljoin(page.url, action), first="yes", seconds="300")
        case = await customer.world.only_case()
        assert (case.deadline or 0) - (before.deadline or 0) == 300
        assert case.requests == ()
        assert page.status == 200
        given = f"Nothing is limited automatically before {wording.moment(case.deadline or 0)}."
        assert f"You asked for more time. {given}" in page.text
    assert 'name="first"' not in page.html


async def test_a_second_wish_for_time_is_decided_by_a_person_and_moves_nothing(
    customer: Customer,
) -> None:
    await customer.say("more-time", seconds="300")
    before = await customer.world.only_case()
    page = await customer.say("more-time", seconds="300")
    case = await customer.world.only_case()
    assert case.deadline == before.deadline
    assert [each.kind for each in case.requests] == ["more-time"]
    assert "more-time" not in [form.rpartition("/")[2] for form in page.forms]
    status, _ = await decide(customer, "refuse", reason="four weeks are enough")
    assert status == 200
    page = await customer.get()
    assert "Not granted" in page.text
    assert "four weeks are enough" in page.text
    assert (await customer.world.only_case()).deadline == before.deadline


async def test_an_agreement_that_is_granted_is_recorded_and_closes_the_case(
    customer: Customer,
) -> None:
    page = await customer.say(
        "agreement", "we need 6 cores", name=" Hanne  Hog ", until="1970-03-31"
    )
    assert "A special agreement, until the end of 31 March 1970" in page.text
    status, answer = await decide(customer, "grant")
    assert (status, "share or exempt" in str(answer["error"])) == (400, True)
    status, answer = await decide(customer, "grant", share=0.75)
    assert status == 200
    (agreement,) = customer.world.desk.agreements.listed(tenant="hog")
    assert (agreement.share, agreement.agreed_with) == (0.75, "Hanne Hog")
    assert (agreement.host, agreement.resource, agreement.recorded_by) == ("h1", "cpu", "otto")
    assert answer["case"]["requests"][0]["agreement"] == agreement.id  # type: ignore[index]  # JSON
    page = await customer.get()
    assert "Your server may use up to 75 % of the machine (CPU time)" in page.text
    await customer.world.report()
    closed = await customer.world.only_case()
    assert (closed.state, closed.closing) == ("closed", "agreed")


async def test_a_load_test_is_announced_and_consented_to(customer: Customer) -> None:
    page = await ask_for_test(customer)
    assert "A load test, from 13 January 1970, 20:00 UTC until 13 January 1970, 22:00" in page.text
    case = await customer.world.only_case()
    assert "acknowledge" in case.answers
    assert case.requests[0].note == "our new shop"
    status, _ = await decide(customer, "grant", request="load-test")
    assert status == 200
    (agreement,) = customer.world.desk.agreements.listed(tenant="hog")
    assert (agreement.kind, agreement.ends_at - agreement.begins_at) == ("test", 7200)
    assert "You have our consent to a load test (every resource)" in (await customer.get()).text


async def test_times_are_read_and_told_in_the_tenants_zone(
    customer: Customer, tmp_path: Path
) -> None:
    (tmp_path / "tenants.toml").write_text(
        '[tenants.hog]\nlanguage = "da"\ntime_zone = "Europe/Copenhagen"\n'
    )
    page = await ask_for_test(customer)
    (request,) = (await customer.world.only_case()).requests
    assert request.until == 12 * DAY + 21 * 3600
    assert "22.00" in page.text
    assert "CET" in page.text
    assert "Europe/Copenhagen" in page.text
    assert "UTC" not in page.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"until": "1970-01-13T19:00"}, "A test has to end after it begins"),
        ({"from": "soon"}, "Please tell us when the test begins"),
        ({"from": "1970-01-01T00:00", "until": "1970-01-20T00:00"}, "14 days at most"),
        ({"note": " "}, "Please tell us what you are going to test"),
        ({"name": ""}, "Please tell us your name"),
        ({"name": "x" * 201}, "longer than we can keep"),
    ],
)
async def test_a_form_that_makes_no_sense_is_refused_and_keeps_what_was_typed(
    customer: Customer, changes: dict[str, str], reason: str
) -> None:
    page = await ask_for_test(customer, **changes)
    assert page.status == 400
    assert reason in page.text
    assert (await customer.world.only_case()).requests == ()
    if "note" not in changes:
        assert ">our new shop</textarea>" in page.html


@pytest.mark.parametrize("until", ["9999-12-31", "2999-01-01"])
async def test_an_agreement_for_ever_is_refused_with_how_long_one_can_be(
    customer: Customer, until: str
) -> None:
    page = await customer.say("agreement", name="Hanne", until=until)
    assert page.status == 400
    assert "Please choose a last day within the next five years" in page.text
    assert "still to come" not in page.text


@pytest.mark.parametrize("until", ["", "31/3/1970", "1970-01-01"])
async def test_an_agreement_needs_a_day_to_come(customer: Customer, until: str) -> None:
    page = await customer.say("agreement", name="Hanne", until=until)
    assert page.status == 400
    assert "Please choose the last day" in page.text


async def test_a_length_of_time_that_was_not_offered_is_refused(customer: Customer) -> None:
    page = await customer.say("more-time", seconds="1e9")
    assert page.status == 400
    assert (await customer.world.only_case()).answers == ()


async def test_the_page_shows_what_its_own_server_uses_now_and_no_other(
    customer: Customer,
) -> None:
    await customer.world.report({"hog": 1.5, "a": 3.0, "b": 3.25, "c": 0.1})
    page = await customer.get(customer.link() + "/use")
    assert page.status == 200
    assert "Your server uses <b>1.5 CPU cores</b>. Its fair share is" in page.html
    assert page.headers["Cache-Control"] == "no-store"
    for others in ("3.25", "hog"):
        assert others not in page.html
    assert page.text in (await customer.get()).text


async def test_use_that_nobody_measured_lately_is_said_to_be_unknown(customer: Customer) -> None:
    customer.world.now += 3600
    assert "Nothing has been measured" in (await customer.get()).text


async def test_a_check_of_what_was_solved_is_told(customer: Customer) -> None:
    page = await customer.say("solved", "stopped the job")
    assert "You said that it is solved: we check until" in page.text
    await customer.world.until(lambda case: case.solved_at is None)
    assert "We checked: the load is still there" in (await customer.get()).text


@pytest.mark.parametrize("language", languages().values(), ids=languages().keys())
def test_the_lengths_of_time_that_are_offered_fit_into_a_telephones_field(
    language: Language,
) -> None:
    offers = time_offers(Times(), Reader(language), used=False)
    assert max(len(offer.label) for offer in offers) <= 40


def test_the_legend_has_the_colours_that_the_chart_has() -> None:
    style = (Path(customer_page.__file__).parent / "static/fairuse.css").read_text()
    (key,) = re.findall(r"\.key-waited \{(.*?)\}", style, re.DOTALL)
    for drawn in ("chart-waited", "chart-waiting"):
        (colour,) = re.findall(rf"\.{drawn} \{{ fill: (var\(.*?\))", style)
        assert colour in key
