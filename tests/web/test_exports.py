"""A tenant's own data over the API: complete, readable, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.web.api import Api

DESCRIBED = "/exports/tenants/{tenant}"


def numbers(value: object) -> Iterator[float]:
    match value:
        case dict():
            for each in value.values():
                yield from numbers(each)
        case list():
            for each in value:
                yield from numbers(each)
        case int() | float():
            yield value


async def everything(api: Api) -> dict[str, Any]:
    """A case with all that a case can have, an agreement, and a listed contact."""
    case_id = await api.served.limited()
    await api.world.desk.answer(case_id, "acknowledge", "Vi ser på det")
    await api.world.pass_time(30)
    await api.call(
        "POST",
        "/agreements",
        json={
            "tenant": "hog",
            "kind": "exempt",
            "resource": "disk",
            "ends_at": api.world.now + 9e5,
            "agreed_with": "Hanne Hog",
        },
    )
    _tenants_file(api.directory).write_text(
        '[[tenants.hog.contacts]]\nemail = ["ops@example.com"]\n'
        'webhook_url = "https://hooks.example.com"\nwebhook_secret_file = "/etc/hog.whsec"\n'
    )
    return await api.get("/exports/tenants/hog", DESCRIBED)


async def test_a_tenants_export_has_its_cases_histories_notices_answers_and_agreements(
    api: Api,
) -> None:
    found = await everything(api)
    (case,) = found["cases"]
    assert "hog on h1 used" in case["sentence"]
    assert case["verdict"]["samples"]
    assert any("Vi ser på det" in line["text"] for line in case["history"])
    assert case["answers"] == ["acknowledge"]
    kinds = [notice["kind"] for notice in case["notices"]]
    assert kinds[0] == "first-notice"
    assert case["notices"][0]["answer"] == "250 ok"
    assert case["notices"][0]["told"]["case"]["tenant"] == "hog"
    assert [order["reason"] for order in case["orders"]] == ["the deadline passed without change"]
    assert [each["agreed_with"] for each in found["agreements"]] == ["Hanne Hog"]
    assert [each["seconds"] for each in found["limited"]] == [30]


async def test_a_tenants_export_has_times_that_people_read_and_no_secrets(api: Api) -> None:
    found = await everything(api)
    assert [each for each in numbers(found) if 990_000 < each < 3_000_000] == []
    assert found["cases"][0]["opened_at"].startswith("1970-01-12T")
    (contact,) = found["listed"]["contacts"]
    assert contact["email"] == ["ops@example.com"]
    assert "whsec" not in str(found)


async def test_an_export_is_for_operators_and_of_tenants_of_whom_something_is_kept(
    api: Api,
) -> None:
    path = "/exports/tenants/nobody"
    status, _ = await api.refused("GET", path, described=DESCRIBED, token=api.served.viewer)
    assert status == 403
    status, reason = await api.refused("GET", path, described=DESCRIBED)
    assert status == 404
    assert 'found "nobody"' in reason


async def test_an_operator_forgets_a_tenant_by_name_once_its_case_is_closed(api: Api) -> None:
    case_id = await api.served.notified()
    path, described = "/tenants/hog/forget", "/tenants/{tenant}/forget"
    why = {"reason": "the contract is over"}
    status, _ = await api.refused(
        "POST", path, described=described, json=why, token=api.served.viewer
    )
    assert status == 403
    status, reason = await api.refused("POST", path, described=described, json=why)
    assert (status, case_id in reason) == (409, True)
    await api.world.desk.dismiss(case_id, by="otto", reason="a mistake")
    await api.world.deliver()
    status, answer = await api.call("POST", path, described=described, json=why)
    assert (status, answer["cases"]) == (200, 1)
    audited = await api.get("/audit")
    assert audited["faults"] == []
    assert audited["erased"] == audited["lines"] - 1
    assert (await api.get("/cases"))["cases"] == []
    status, _ = await api.refused("POST", path, described=described, json=why)
    assert status == 404


def _tenants_file(directory: Path) -> Path:
    return directory / "tenants.toml"
