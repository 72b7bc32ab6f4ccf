"""The operators' API over the real desk, database and server."""

from __future__ import annotations

import asyncio
import threading

import aiohttp
import pytest
from openapi_spec_validator import validate

from controller.storage import notices, tries
from controller.storage.told import DeliveryTry
from controller.web.app import ROUTES
from tests.cases.world import BUSY
from tests.web.api import Api

REASON = {"reason": "neighbours called"}


async def test_the_description_is_valid_openapi_and_names_every_route_once(api: Api) -> None:
    validate(api.document)
    described = {
        (method.upper(), path)
        for path, operations in api.document["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    names = [
        operation["operationId"]
        for operations in api.document["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))


async def test_the_description_says_who_may_call_what(api: Api) -> None:
    paths = api.document["paths"]
    assert paths["/api/v1/cases"]["get"]["security"] == [{"viewer": []}, {"operator": []}]
    assert paths["/api/v1/pause"]["post"]["security"] == [{"operator": []}]
    assert paths["/agent/v1/reports"]["post"]["security"] == [{"agent": []}]
    assert paths["/openapi.json"]["get"]["security"] == []


async def test_health_answers_anybody_while_the_database_can_be_read(api: Api) -> None:
    url = f"{api.served.url}/healthz"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert response.status == 200
            assert await response.json() == {"at": api.world.now}
        await api.world.database.close()
        (api.directory / "fairuse.db").rename(api.directory / "gone.db")
        (api.directory / "fairuse.db").mkdir()
        async with session.get(url) as response:
            assert response.status == 503
            assert "database" in (await response.json())["error"]
    await drivers_threads_ended()


async def drivers_threads_ended() -> None:
    """A connection that could not be made ends its thread by itself, and needs the loop for it."""
    for thread in threading.enumerate():
        if "_connection_worker" in thread.name:
            await asyncio.to_thread(thread.join, 10)


async def test_docstrings_become_descriptions_without_their_indentation(api: Api) -> None:
    described = api.document["components"]["schemas"]["CaseAnswer"]["description"]
    assert described.startswith("One case with all that is known")
    assert "\n " not in described


async def test_hosts_are_listed_without_their_tenants(api: Api) -> None:
    assert (await api.get("/hosts"))["hosts"] == []
    await api.world.reports(2)
    listed = await api.get("/hosts")
    (host,) = listed["hosts"]
    assert (host["host"], host["tenants"], host["limits_held"]) == ("h1", 4, None)
    assert listed["at"] == api.world.now
    cpu = next(view for view in host["resources"] if view["resource"] == "cpu")
    assert cpu["used"] == pytest.approx(7.5)
    assert cpu["capacity"] == 8


async def test_one_host_shows_its_tenants_and_an_unknown_one_is_not_found(api: Api) -> None:
    await api.world.reports(1)
    host = (await api.get("/hosts/h1", "/hosts/{host}"))["host"]
    assert {tenant["tenant"] for tenant in host["tenants"]} == set(BUSY)
    status, reason = await api.refused("GET", "/hosts/h2", described="/hosts/{host}")
    assert status == 404
    assert '"h2"' in reason


async def test_tenants_come_with_the_heaviest_first_and_bounded(api: Api) -> None:
    await api.world.reports(1)
    listed = (await api.get("/tenants"))["tenants"]
    assert listed[0]["tenant"] == "hog"
    assert len(listed) == 4
    assert len((await api.get("/tenants?limit=1"))["tenants"]) == 1
    assert (await api.get("/tenants?host=elsewhere"))["tenants"] == []


async def test_one_tenant_shows_its_places_and_cases(api: Api) -> None:
    case_id = await api.served.notified()
    tenant = await api.get("/tenants/hog", "/tenants/{tenant}")
    assert [place["host"] for place in tenant["places"]] == ["h1"]
    assert [case["id"] for case in tenant["cases"]] == [case_id]
    status, _ = await api.refused("GET", "/tenants/nobody", described="/tenants/{tenant}")
    assert status == 404


async def test_cases_can_be_filtered(api: Api) -> None:
    case_id = await api.served.notified()
    for query, expected in (
        ("", [case_id]),
        ("?state=notified", [case_id]),
        ("?state=closed", []),
        ("?host=h1&tenant=hog&limit=5", [case_id]),
        ("?tenant=a", []),
    ):
        listed = (await api.get(f"/cases{query}"))["cases"]
        assert [case["id"] for case in listed] == expected, query


async def test_a_case_answers_with_sentence_evidence_history_and_notices(api: Api) -> None:
    case_id = await api.served.notified()
    answer = await api.get(f"/cases/{case_id}", "/cases/{case}")
    assert "hog used 6 of this machine's 8 CPU cores" in answer["sentence"]
    assert len(answer["case"]["verdict"]["samples"]) > 3
    assert answer["timeline"][0]["event"] == "opened"
    (notice,) = answer["notices"]
    assert (notice["kind"], notice["channel"]) == ("first-notice", "email")
    assert notice["accepted_at"] == api.world.now
    assert answer["order"] is None


async def test_a_notice_shows_its_letter_and_every_try_of_it(api: Api) -> None:
    world = api.world
    await world.reports(10)
    (row,) = await world.unsettled()
    async with world.database.write() as connection:
        await notices.decide_letter(connection, [row.id], row.id, world.now)
        later = DeliveryTry(row.id, world.now, "technical", "email", "deferred", "451 greylisted")
        await tries.add(connection, [later])
    answer = await api.get(f"/cases/{row.case_id}", "/cases/{case}")
    (notice,) = answer["notices"]
    assert notice["letter"] == row.id
    (shown,) = notice["deliveries"]
    assert (shown["outcome"], shown["answer"]) == ("deferred", "451 greylisted")


async def test_a_limited_case_shows_its_standing_order_and_the_notice_behind_it(api: Api) -> None:
    case_id = await api.served.limited()
    answer = await api.get(f"/cases/{case_id}", "/cases/{case}")
    order = answer["order"]
    assert order["id"] == answer["case"]["limit"]["order"]
    assert order["notice"] == answer["notices"][0]["id"]
    assert order["ordered_by"] is None
    assert order["allowance"] >= order["fair_share"] > 0
    assert order["lease_until"] > answer["at"]


async def test_approving_orders_a_limit_in_the_callers_name(api: Api) -> None:
    case_id = await api.served.notified()
    status, answer = await api.call(
        "POST", f"/cases/{case_id}/approve", described="/cases/{case}/approve", json=REASON
    )
    assert status == 200
    assert answer["case"]["state"] == "limited"
    assert (answer["order"]["ordered_by"], answer["order"]["reason"]) == ("otto", REASON["reason"])
    assert api.world.desk.limits_for("h1", api.world.now) != ()


@pytest.mark.parametrize(("step", "state"), [("dismiss", "closed"), ("hold", "held")])
async def test_a_step_changes_the_case_and_its_history_names_who_and_why(
    api: Api, step: str, state: str
) -> None:
    case_id = await api.served.notified()
    _, answer = await api.call(
        "POST", f"/cases/{case_id}/{step}", described=f"/cases/{{case}}/{step}", json=REASON
    )
    assert answer["case"]["state"] == state
    named = [entry for entry in answer["timeline"] if entry["actor"] == "otto"]
    assert named
    assert REASON["reason"] in named[-1]["text"]


async def test_lifting_ends_the_limit_at_once(api: Api) -> None:
    case_id = await api.served.limited()
    _, answer = await api.call(
        "POST", f"/cases/{case_id}/lift", described="/cases/{case}/lift", json=REASON
    )
    assert answer["case"]["limit"] is None
    assert answer["order"] is None
    assert api.world.desk.limits_for("h1", api.world.now) == ()


async def test_a_step_that_makes_no_sense_is_refused_and_changes_nothing(api: Api) -> None:
    case_id = await api.served.notified()
    before = await api.get(f"/cases/{case_id}", "/cases/{case}")
    status, reason = await api.refused(
        "POST", f"/cases/{case_id}/lift", described="/cases/{case}/lift", json=REASON
    )
    assert status == 409
    assert reason
    assert await api.get(f"/cases/{case_id}", "/cases/{case}") == before


async def test_a_step_on_an_unknown_case_is_not_found(api: Api) -> None:
    status, reason = await api.refused(
        "POST", "/cases/nothing/lift", described="/cases/{case}/lift", json=REASON
    )
    assert status == 404
    assert "nothing" in reason


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": 5}, {"reason": "x" * 1001}, [], None]
)
async def test_a_step_needs_a_reason_and_says_so(api: Api, body: object) -> None:
    case_id = await api.served.notified()
    status, reason = await api.refused(
        "POST", f"/cases/{case_id}/dismiss", described="/cases/{case}/dismiss", json=body
    )
    assert status == 400
    assert reason
    assert (await api.world.only_case()).state == "notified"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("limit=0", "limit: expected 1 to 1000, found 0"),
        ("limit=1001", "limit: expected 1 to 1000, found 1001"),
        ("limit=many", 'limit: expected a whole number, 1 to 1000, found "many"'),
        ("limit=-1", 'limit: expected a whole number, 1 to 1000, found "-1"'),
        ("limit=1&limit=2", "limit: expected it once, found it twice"),
        (
            "state=open",
            'state: expected closed, held, limited, notified, watching, found "open"',
        ),
        (
            "stat=held",
            'query: expected only state, host, tenant, limit, found the parameter "stat"',
        ),
    ],
)
async def test_a_wrong_parameter_is_named_with_what_was_expected_and_found(
    api: Api, query: str, told: str
) -> None:
    assert await api.refused("GET", f"/cases?{query}") == (400, told)


async def test_a_parameter_that_spells_null_is_a_name_like_any_other(api: Api) -> None:
    await api.served.notified()
    assert (await api.get("/cases?tenant=null"))["cases"] == []


async def test_pausing_lifts_everything_until_resumed(api: Api) -> None:
    await api.served.limited()
    assert (await api.get("/pause"))["paused"] is False
    status, answer = await api.call("POST", "/pause", json=REASON)
    assert (status, answer["paused"]) == (200, True)
    assert api.world.desk.limits_for("h1", api.world.now) == ()
    assert (await api.get("/pause"))["paused"] is True
    _, answer = await api.call("POST", "/resume", json=REASON)
    assert answer["paused"] is False


async def test_a_viewer_may_look_but_not_step(api: Api) -> None:
    case_id = await api.served.notified()
    viewer = api.served.viewer
    await api.get("/cases", token=viewer)
    for path, described in (
        (f"/cases/{case_id}/dismiss", "/cases/{case}/dismiss"),
        ("/pause", "/pause"),
        ("/resume", "/resume"),
        ("/enrolment-tokens", "/enrolment-tokens"),
    ):
        status, _ = await api.refused(
            "POST", path, described=described, token=viewer, json={**REASON, "host": "h9"}
        )
        assert status == 403, path
    assert (await api.world.only_case()).state == "notified"
    assert not api.world.desk.paused


@pytest.mark.parametrize("token", ["", "guessed"])
async def test_without_a_good_token_nothing_is_told(api: Api, token: str) -> None:
    for path in ("/hosts", "/tenants", "/cases", "/pause"):
        status, _ = await api.refused("GET", path, token=token)
        assert status == 401, path


async def test_an_enrolment_token_enrols_that_host_once(api: Api) -> None:
    _, made = await api.call("POST", "/enrolment-tokens", json={"host": "h9"})
    assert made["expires_at"] > api.world.now
    async with aiohttp.ClientSession() as session:
        for expected in (200, 403):
            async with session.post(
                f"{api.served.url}/agent/v1/enrol", json={"host": "h9", "token": made["token"]}
            ) as response:
                assert response.status == expected


async def test_an_enrolment_token_for_what_is_no_host_name_is_refused(api: Api) -> None:
    status, reason = await api.refused("POST", "/enrolment-tokens", json={"host": "no host!"})
    assert status == 400
    assert reason.startswith("host: ")


async def test_a_suspension_is_ordered_by_name_told_to_the_host_and_over_by_itself(
    api: Api,
) -> None:
    case_id = await api.served.notified()
    _, answer = await api.call(
        "POST",
        f"/cases/{case_id}/suspend",
        described="/cases/{case}/suspend",
        json={**REASON, "seconds": 300},
    )
    desk, now = api.world.desk, api.world.now
    (told,) = desk.suspensions_for("h1", now)
    assert (told.remaining_seconds, told.reason) == (300, REASON["reason"])
    assert answer["case"]["suspension"]["ordered_by"] == told.ordered_by
    assert answer["timeline"][-1]["event"] == "suspended"
    api.world.now += 300
    assert desk.suspensions_for("h1", api.world.now) == ()
    await desk.tick()
    assert (await desk.timeline(case_id))[-1].event == "suspension-ended"


async def test_thawing_and_pausing_end_a_suspension(api: Api) -> None:
    case_id = await api.served.notified()
    wanted = {**REASON, "seconds": 300}
    described = "/cases/{case}/suspend"
    await api.call("POST", f"/cases/{case_id}/suspend", described=described, json=wanted)
    _, answer = await api.call(
        "POST", f"/cases/{case_id}/thaw", described="/cases/{case}/thaw", json=REASON
    )
    assert answer["case"]["suspension"] is None
    await api.call("POST", f"/cases/{case_id}/suspend", described=described, json=wanted)
    await api.call("POST", "/pause", json=REASON)
    assert api.world.desk.suspensions_for("h1", api.world.now) == ()
    case = await api.world.desk.case(case_id)
    assert case is not None
    assert case.suspension is None
