from __future__ import annotations

import asyncio

import pytest

from controller.storage import tokens
from controller.web.credentials import REFRESH_SECONDS
from tests.intake.serving import Server, body_of


async def test_an_enrolled_host_is_heard_at_once(server: Server) -> None:
    credential = await server.enrol("h1")

    assert (await server.send(credential, body_of("h1"))).status == 200


async def test_an_enrolment_token_works_once_also_in_a_race(server: Server) -> None:
    body = {"host": "h1", "token": await server.enrolment_token("h1")}

    answers = await asyncio.gather(
        *(server.call("POST", "/agent/v1/enrol", json=body) for _ in range(8))
    )

    assert sorted(answer.status for answer in answers) == [200] + [403] * 7
    (won,) = [answer for answer in answers if answer.status == 200]
    assert (await server.send(won.json["credential"], body_of("h1"))).status == 200


async def test_an_expired_token_enrols_nobody(server: Server) -> None:
    body = {"host": "h1", "token": await server.enrolment_token("h1")}
    server.clock.now += 61

    answer = await server.call("POST", "/agent/v1/enrol", json=body)

    assert answer.status == 403
    assert "enrolment-token --host" in answer.json["error"]


async def test_a_host_that_enrols_again_is_known_by_the_new_credential_only(
    server: Server,
) -> None:
    old = await server.enrol("h1")
    new = await server.enrol("h1")

    assert (await server.send(old, body_of("h1"))).status == 401
    assert (await server.send(new, body_of("h1"))).status == 200


async def test_a_host_enrolled_by_another_controller_is_heard(server: Server) -> None:
    async with server.services.database.write() as connection:
        await tokens.add_enrolment_token(connection, token="t", host="h1", expires_at=9e9)
        await tokens.enrol(connection, host="h1", token="t", credential="c", now=1.0)
    server.clock.now += 1

    assert (await server.send("c", body_of("h1"))).status == 200


async def test_a_revoked_credential_is_refused_after_the_next_refresh(server: Server) -> None:
    credential = await server.enrol("h1")
    async with server.services.database.write() as connection:
        await tokens.revoke_host(connection, "h1", 1.0)

    server.clock.now += REFRESH_SECONDS
    await server.services.credentials.refresh()

    answer = await server.send(credential, body_of("h1"))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"Authorization": "Bearer guessed"}, id="a guess"),
        pytest.param({"Authorization": "Bearer "}, id="an empty one"),
        pytest.param({"Authorization": "Basic eDp5"}, id="another scheme"),
        pytest.param({"Authorization": "Bearer \udcff"}, id="what is not text"),
    ],
)
async def test_nobody_reports_without_a_hosts_credential(
    server: Server, headers: dict[str, str]
) -> None:
    await server.enrol("h1")

    answer = await server.call(
        "POST",
        "/agent/v1/reports",
        data=body_of("h1"),
        headers=headers | {"Content-Type": "application/msgpack"},
    )

    assert answer.status == 401
    assert await server.stored() == []


async def test_an_api_token_is_no_hosts_credential_nor_the_other_way_round(
    server: Server,
) -> None:
    credential = await server.enrol("h1")
    async with server.services.database.write() as connection:
        await tokens.add_api_token(connection, token="api", name="ada", role="operator", now=1.0)

    assert (await server.send("api", body_of("h1"))).status == 401
    headers = {"Authorization": f"Bearer {credential}"}
    assert (await server.call("GET", "/api/v1/hosts", headers=headers)).status == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"host":"h1"}', b'{"host":"h1","token":5}', b'{"host":"h1","token":"x","y":1}'],
)
async def test_a_bad_enrolment_is_explained(server: Server, body: bytes) -> None:
    answer = await server.call("POST", "/agent/v1/enrol", data=body)

    assert answer.status == 400
    assert answer.json["error"]
