"""Agreements over the API: recorded by an operator, read by a viewer, refused by the field."""

from __future__ import annotations

import pytest

from tests.web.api import Api

REASON = {"reason": "the contract has ended"}


def terms(api: Api, **changes: object) -> dict[str, object]:
    given: dict[str, object] = {
        "tenant": "hog",
        "kind": "share",
        "share": 0.5,
        "resource": "cpu",
        "ends_at": api.world.now + 86400,
        "agreed_with": "Hanne Hog",
    }
    return given | changes


async def test_an_agreement_is_recorded_in_the_callers_name_and_listed(api: Api) -> None:
    status, answer = await api.call("POST", "/agreements", json=terms(api))
    assert status == 200
    recorded = answer["agreement"]
    assert (recorded["recorded_by"], recorded["begins_at"]) == ("otto", api.world.now)
    listed = await api.get("/agreements", token=api.served.viewer)
    assert listed["agreements"] == [recorded]
    assert (await api.get("/agreements?tenant=a"))["agreements"] == []


async def test_only_an_operator_records_and_withdraws(api: Api) -> None:
    viewer = api.served.viewer
    status, _ = await api.refused("POST", "/agreements", json=terms(api), token=viewer)
    assert status == 403
    _, answer = await api.call("POST", "/agreements", json=terms(api))
    path = f"/agreements/{answer['agreement']['id']}/withdraw"
    described = "/agreements/{agreement}/withdraw"
    status, _ = await api.refused("POST", path, described=described, json=REASON, token=viewer)
    assert status == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tenant": ""}, "tenant"),
        ({"agreed_with": "  "}, "agreed_with"),
        ({"kind": "favour"}, "kind"),
        ({"share": None}, "share"),
        ({"share": 2}, "share"),
        ({"kind": "exempt"}, "share"),
        ({"resource": "gpu"}, "resource"),
        ({"ends_at": 1}, "ends_at"),
        ({"ends_at": 1e12}, "ends_at"),
        ({"kind": "test", "share": None, "ends_at": 3e6}, "ends_at"),
        ({"until": 5}, "until"),
    ],
)
async def test_an_agreement_that_makes_no_sense_is_refused_naming_the_field(
    api: Api, changes: dict[str, object], field: str
) -> None:
    status, reason = await api.refused("POST", "/agreements", json=terms(api, **changes))
    assert status == 400
    assert field in reason
    assert (await api.get("/agreements"))["agreements"] == []


async def test_a_withdrawn_agreement_stays_on_record_and_is_withdrawn_once(api: Api) -> None:
    _, answer = await api.call("POST", "/agreements", json=terms(api))
    path = f"/agreements/{answer['agreement']['id']}/withdraw"
    described = "/agreements/{agreement}/withdraw"
    status, answer = await api.call("POST", path, described=described, json=REASON)
    assert status == 200
    assert answer["agreement"]["withdrawn_by"] == "otto"
    assert answer["agreement"]["withdrawn_because"] == REASON["reason"]
    assert (await api.get("/agreements"))["agreements"] == [answer["agreement"]]
    status, reason = await api.refused("POST", path, described=described, json=REASON)
    assert status == 409
    assert "withdrawn" in reason
    status, _ = await api.refused(
        "POST", "/agreements/a0/withdraw", described=described, json=REASON
    )
    assert status == 404


async def test_a_case_shows_the_agreements_in_force_with_its_tenant_on_its_host(api: Api) -> None:
    case_id = await api.served.notified()
    for changes in (
        {"share": 0.3},
        {"tenant": "a"},
        {"host": "h2"},
        {"begins_at": api.world.now + 50},
    ):
        await api.call("POST", "/agreements", json=terms(api, **changes))
    answer = await api.get(f"/cases/{case_id}", "/cases/{case}")
    assert [each["share"] for each in answer["agreements"]] == [0.3]
