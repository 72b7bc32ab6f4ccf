"""What a rollout asks the controller, over the real server."""

from __future__ import annotations

import aiohttp

from controller.cases.rings import Modes
from controller.web.rollout import SILENT_SECONDS, reasons_to_stop
from tests.web.api import Api

REASON = {"reason": "decommissioned"}


async def test_a_controller_that_nobody_reports_to_gives_no_reason_to_stop(api: Api) -> None:
    gate = await api.get("/gate")
    assert gate["reasons"] == []
    assert gate["hosts"] == 0
    assert gate["mode"] == "enforce"
    assert gate["paused"] is False
    assert gate["version"]


async def test_a_host_that_went_silent_is_a_reason_by_name(api: Api) -> None:
    await api.world.report()
    assert (await api.get("/gate"))["reasons"] == []
    api.world.now += SILENT_SECONDS + 100
    (reason,) = (await api.get("/gate"))["reasons"]
    assert "has not reported for" in reason


def test_files_that_cannot_be_used_are_reasons() -> None:
    assert reasons_to_stop([], [], ["rings.toml: unknown"], now=0) == ("rings.toml: unknown",)


async def test_the_rings_in_force_are_told(api: Api) -> None:
    file = api.directory / "rings.toml"
    file.write_text('[[ring]]\nname = "canary"\nmode = "contact"\nhosts = ["node-*"]\n')
    api.world.desk.modes = Modes("enforce", file)
    gate = await api.get("/gate")
    assert gate["rings"] == [{"name": "canary", "mode": "contact", "hosts": ["node-*"]}]


async def test_a_revoked_host_is_not_heard_any_more(api: Api) -> None:
    described = "/hosts/{host}/revoke"
    _, made = await api.call("POST", "/enrolment-tokens", json={"host": "node-7"})
    enrolled = await enrol(api, made["token"])
    assert await status_of_a_report(api, enrolled) != 401
    status, answer = await api.call(
        "POST", "/hosts/node-7/revoke", described=described, json=REASON
    )
    assert (status, answer) == (200, {"host": "node-7"})
    assert await status_of_a_report(api, enrolled) == 401
    again, error = await api.refused(
        "POST", "/hosts/node-7/revoke", described=described, json=REASON
    )
    assert again == 404
    assert "node-7" in error


async def test_a_viewer_may_not_revoke(api: Api) -> None:
    status, _ = await api.refused(
        "POST",
        "/hosts/node-7/revoke",
        described="/hosts/{host}/revoke",
        token=api.served.viewer,
        json=REASON,
    )
    assert status == 403


async def enrol(api: Api, token: str) -> str:
    body = {"host": "node-7", "token": token}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{api.served.url}/agent/v1/enrol", json=body) as response,
    ):
        assert response.status == 200
        credential: str = (await response.json())["credential"]
        return credential


async def status_of_a_report(api: Api, credential: str) -> int:
    headers = {"Authorization": f"Bearer {credential}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{api.served.url}/agent/v1/reports", json={}, headers=headers) as response,
    ):
        return response.status
