from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from aiohttp import web

from controller.cases.judging import Seen
from controller.storage import tokens
from controller.web import app as app_module
from controller.web.app import build_app
from controller.web.auth import CALLER
from controller.web.errors import Refused
from controller.web.routes import MAX_BODY_BYTES, Route
from controller.web.services import Services
from tests.intake.serving import Server, bearer, body_of


def _basic(token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"any:{token}".encode()).decode()}


async def _who(request: web.Request) -> web.Response:
    return web.Response(text=request[CALLER].name)


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def _fail(_request: web.Request) -> web.Response:
    raise RuntimeError("the secret reason")


async def _refuse(_request: web.Request) -> web.Response:
    raise Refused(409, 'expected "this", found <b>that</b>')


ROUTES = (
    Route("GET", "/api/v1/look", _who, "viewer", "for viewers"),
    Route("POST", "/api/v1/act", _who, "operator", "for operators"),
    Route("GET", "/page", _who, "viewer", "a page"),
    Route("POST", "/api/v1/echo", _echo, "public", "for all"),
    Route("GET", "/api/v1/fail", _fail, "public", "fails"),
    Route("GET", "/failing-page", _fail, "public", "fails"),
    Route("GET", "/refusing-page", _refuse, "public", "refuses"),
)


@pytest.fixture
async def site(server: Server) -> Server:
    """The same services behind routes of this test."""
    async with server.services.database.write() as connection:
        for name, role in (("vera", "viewer"), ("otto", "operator")):
            await tokens.add_api_token(
                connection,
                token=f"{name}-token",
                name=name,
                role=role,  # type: ignore[arg-type]  # from the pairs above
                now=1.0,
            )
    server.url = await _serve(server.services)
    return server


_runners: list[web.AppRunner] = []


async def _serve(services: Services) -> str:
    runner = web.AppRunner(build_app(services, ROUTES), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _runners.append(runner)
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture(autouse=True)
async def _stop() -> object:
    yield
    while _runners:
        await _runners.pop().cleanup()


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/api/v1/look", "vera-token", 200),
        ("GET", "/api/v1/look", "otto-token", 200),
        ("POST", "/api/v1/act", "otto-token", 200),
        ("POST", "/api/v1/act", "vera-token", 403),
        ("GET", "/api/v1/look", "guessed", 401),
        ("POST", "/api/v1/act", "guessed", 401),
    ],
)
async def test_a_token_opens_what_its_role_may(
    site: Server, method: str, path: str, token: str, status: int
) -> None:
    answer = await site.call(method, path, headers=bearer(token))

    assert answer.status == status
    if status == 200:
        assert answer.body.decode() == token.removesuffix("-token")
    if status == 403:
        assert answer.json["error"] == 'expected the role operator, found that "vera" has viewer'


async def test_a_page_takes_the_token_as_a_browsers_password(site: Server) -> None:
    answer = await site.call("GET", "/page", headers=_basic("vera-token"))

    assert (answer.status, answer.body) == (200, b"vera")


async def test_the_api_does_not_because_browsers_send_it_for_other_sites_too(site: Server) -> None:
    answer = await site.call("POST", "/api/v1/act", headers=_basic("otto-token"))

    assert answer.status == 401


@pytest.mark.parametrize(("path", "scheme"), [("/page", "Basic"), ("/api/v1/look", "Bearer")])
async def test_who_is_not_known_is_told_how_to_say_who_they_are(
    site: Server, path: str, scheme: str
) -> None:
    answer = await site.call("GET", path)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == f'{scheme} realm="Fairuse"'


@pytest.mark.parametrize("path", ["/page", "/refusing-page", "/failing-page", "/nothing-here"])
async def test_every_page_keeps_to_itself(site: Server, path: str) -> None:
    answer = await site.call("GET", path, headers=bearer("vera-token"))

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_pages_error_shows_what_was_found_as_text(site: Server) -> None:
    answer = await site.call("GET", "/refusing-page")

    assert answer.status == 409
    assert b"&lt;b&gt;that&lt;/b&gt;" in answer.body
    assert b"<b>" not in answer.body


@pytest.mark.parametrize("path", ["/api/v1/fail", "/failing-page"])
async def test_a_failure_is_logged_and_not_shown(
    site: Server, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await site.call("GET", path)

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "the secret reason" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/api/v1/nothing", 404, "there is nothing at /api/v1/nothing"),
        ("GET", "/api/v1/act", 405, "/api/v1/act takes POST, found GET"),
    ],
)
async def test_a_wrong_address_says_what_there_is(
    site: Server, method: str, path: str, status: int, said: str
) -> None:
    answer = await site.call(method, path)

    assert answer.status == status
    assert said in answer.json["error"]


async def test_a_body_that_is_too_large_or_has_no_length_is_not_read(site: Server) -> None:
    async def endless() -> object:
        yield b"x"

    assert (await site.call("POST", "/api/v1/echo", data=b"x" * MAX_BODY_BYTES)).status == 200
    assert (await site.call("POST", "/api/v1/echo", data=b"x" * (MAX_BODY_BYTES + 1))).status == 413
    assert (await site.call("POST", "/api/v1/echo", data=endless())).status == 411


async def test_who_sends_slowly_is_given_up_and_holds_up_nobody(
    site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0.2)
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nslow")
    await writer.drain()

    other = await site.call("POST", "/api/v1/echo", data=b"fast")
    slow = await asyncio.wait_for(reader.readline(), 10)

    assert other.body == b"fast"
    assert slow.startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()


async def test_everything_the_server_offers_has_a_role_and_no_two_share_an_address() -> None:
    addresses = [(route.method, route.path) for route in app_module.ROUTES]

    assert len(addresses) == len(set(addresses))
    public = {route.path for route in app_module.ROUTES if route.role == "public"}
    assert public <= {
        "/agent/v1/enrol",
        "/healthz",
        "/openapi.json",
        "/c/{token}",
        "/c/{token}/use",
        "/c/{token}/{answer}",
    }


async def test_a_failing_desk_does_not_lose_a_report(
    server: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It is durable, so the agent's next try is acknowledged."""
    credential = await server.enrol("h1")
    observe = server.services.desk.observe

    async def fail(seen: Seen) -> None:
        raise RuntimeError("a fault in the rule")

    server.services.desk.observe = fail  # type: ignore[method-assign]  # a fault on purpose
    assert (await server.send(credential, body_of("h1"))).status == 500
    server.services.desk.observe = observe  # type: ignore[method-assign]  # mended

    assert (await server.send(credential, body_of("h1"))).status == 200
    assert await server.stored() == [("h1", 1)]
    assert "a fault in the rule" in caplog.text
