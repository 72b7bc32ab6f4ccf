"""The tenant directory over the API: real server, real database."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp
import pytest

from controller.storage import tokens
from tests.web.api import Api

ANNA = {"name": "Anna", "plan": "small", "contacts": [{"email": ["anna@example.org"]}]}
ONE = "/directory/{tenant}"


async def a_directory_token(api: Api) -> str:
    async with api.world.database.write() as connection:
        await tokens.add_api_token(
            connection, token="billing-secret", name="billing", role="directory", now=0.0
        )
    return "billing-secret"


async def test_a_billing_system_pushes_reads_and_removes_a_tenant(api: Api) -> None:
    token = await a_directory_token(api)
    status, put = await api.call("PUT", "/directory/web42", described=ONE, token=token, json=ANNA)
    assert status == 200
    (told,) = put["listed"]["sources"]
    assert told["source"] == "pushed"
    assert told["by"] == "billing"
    assert told["at"] == api.world.now
    assert told["entry"]["contacts"][0]["email"] == ["anna@example.org"]
    assert api.served.services.directory.plan_of("web42") == "small"
    assert await api.get("/directory/web42", ONE, token=token) == put
    status, left = await api.call("DELETE", "/directory/web42", described=ONE, token=token)
    assert status == 200
    assert left["listed"]["sources"] == []
    for method in ("GET", "DELETE"):
        status, why = await api.refused(method, "/directory/web42", described=ONE, token=token)
        assert status == 404
        assert '"web42"' in why
    assert api.served.services.directory.plan_of("web42") == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cases"),
        ("GET", "/tenants"),
        ("GET", "/hosts"),
        ("POST", "/pause"),
        ("POST", "/enrolment-tokens"),
    ],
)
async def test_its_token_does_nothing_else(api: Api, method: str, path: str) -> None:
    token = await a_directory_token(api)
    status, why = await api.refused(method, path, token=token)
    assert status == 403
    assert 'found that "billing" has directory' in why


async def test_a_viewer_does_not_see_customers_addresses(api: Api) -> None:
    for method, path, described in (
        ("GET", "/directory", None),
        ("GET", "/directory/web42", ONE),
        ("PUT", "/directory/web42", ONE),
    ):
        status, why = await api.refused(
            method, path, described=described, token=api.served.viewer, json={}
        )
        assert status == 403
        assert "directory or operator" in why


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"nmae": "Anna"}, "nmae"),
        ({"language": "dk"}, 'found "dk"'),
        ({"contacts": [{"email": "anna@example.org"}]}, "email"),
        ({"contacts": [{"email": ["anna"]}]}, "contacts[0].email: expected an address"),
        ({"contacts": [{"webhook_secret_file": "/etc/shadow"}]}, "webhook_secret_file"),
    ],
)
async def test_a_bad_entry_is_refused_whole(api: Api, entry: dict[str, Any], reason: str) -> None:
    status, why = await api.refused("PUT", "/directory/web42", described=ONE, json=entry)
    assert status == 400
    assert reason in why
    pushed = {"tenants": {"good": ANNA, "web42": entry}}
    status, why = await api.refused("POST", "/directory", json=pushed)
    assert status == 400
    assert reason in why
    assert (await api.get("/directory"))["tenants"] == []


async def test_an_entry_that_somebody_else_changed_is_not_overwritten_unseen(api: Api) -> None:
    url = f"{api.served.url}/api/v1/directory/web42"
    headers = {"Authorization": f"Bearer {api.served.operator}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.put(url, json=ANNA) as response:
            seen = response.headers["ETag"]
        async with session.put(url, json=ANNA, headers={"If-Match": seen}) as response:
            assert response.headers["ETag"] == seen
        async with session.put(url, json={"name": "Berit"}) as response:
            assert response.headers["ETag"] != seen
        for method in ("PUT", "DELETE"):
            async with session.request(
                method, url, json=ANNA, headers={"If-Match": seen}
            ) as response:
                assert response.status == 412
                assert "get the entry again" in (await response.json())["error"]


async def test_a_whole_export_is_tried_dry_and_then_taken(api: Api) -> None:
    old = {"tenants": {"a": ANNA, "b": ANNA}}
    await api.call("POST", "/directory", json=old)
    new = {"tenants": {"b": {**ANNA, "plan": "large"}, "c": ANNA}, "remove_missing": True}
    _, told = await api.call("POST", "/directory", json={**new, "dry_run": True})
    assert (told["added"], told["changed"], told["removed"]) == (["c"], ["b"], ["a"])
    assert [each["tenant"] for each in (await api.get("/directory"))["tenants"]] == ["a", "b"]
    _, done = await api.call("POST", "/directory", json=new)
    assert {**done, "dry_run": True} == told
    assert [each["tenant"] for each in (await api.get("/directory"))["tenants"]] == ["b", "c"]
    _, again = await api.call("POST", "/directory", json=new)
    assert again["unchanged"] == 2
    assert again["added"] == again["changed"] == again["removed"] == []


async def test_an_empty_export_removes_nobody(api: Api) -> None:
    await api.call("POST", "/directory", json={"tenants": {"a": ANNA}})
    status, why = await api.refused(
        "POST", "/directory", json={"tenants": {}, "remove_missing": True}
    )
    assert status == 400
    assert "an export that failed" in why
    assert (await api.get("/directory"))["total"] == 1


async def test_the_operators_file_comes_first_and_the_conflict_is_seen(api: Api) -> None:
    path = api.directory / "tenants.toml"
    path.write_text('[tenants.a]\nname = "Own"\n[tenants.b]\nname = "Anna"\nplan = "small"\n')
    same = {"name": "Anna", "plan": "small"}
    _, done = await api.call("POST", "/directory", json={"tenants": {"a": same, "b": same}})
    assert done["overruled"] == ["a"]
    answer = await api.get("/directory/a", ONE)
    assert [(each["source"], each["entry"]["name"]) for each in answer["listed"]["sources"]] == [
        ("tenants_file", "Own"),
        ("pushed", "Anna"),
    ]
    listed = await api.get("/directory?source=tenants_file&after=a")
    assert [each["tenant"] for each in listed["tenants"]] == ["b"]
    assert (await api.get("/directory?source=pushed"))["tenants"] == []


@pytest.mark.parametrize("name", ["x" * 256, "a%00b", "a%0Ab"])
async def test_a_name_that_cannot_be_a_tenants_is_refused(api: Api, name: str) -> None:
    status, why = await api.refused("PUT", f"/directory/{name}", described=ONE, json=ANNA)
    assert status == 400
    assert "printable" in why


async def test_ten_thousand_tenants_fit_into_one_push_and_more_than_it_takes_is_said(
    api: Api,
) -> None:
    many = {f"web{number}": ANNA for number in range(10_000)}
    too_many = {f"web{number}": ANNA for number in range(40_000)}
    headers = {"Authorization": f"Bearer {api.served.operator}"}
    async with aiohttp.ClientSession(f"{api.served.url}/api/v1/", headers=headers) as session:

        async def push(tenants: object) -> tuple[int, dict[str, Any]]:
            body = io.BytesIO(json.dumps({"tenants": tenants}).encode())
            async with session.post("directory", data=body) as response:
                return response.status, await response.json()

        status, done = await push(many)
        assert (status, len(done["added"])) == (200, 10_000)
        status, refused = await push(too_many)
        assert status == 413
        assert "3145728" in refused["error"]
