"""The client against servers that are not what they should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from controller.web.messages import CaseList, TenantAnswer
from fairuse_cli.access import Access
from fairuse_cli.client import Client, NoSuchThing, decode
from fairuse_cli.failures import INTERNAL, REFUSED, UNAUTHORISED, UNREACHABLE, CommandFailed

Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(url: str, timeout_seconds: float = 5.0) -> bytes:
    client = Client(Access(url, "secret"), timeout_seconds)
    try:
        return await asyncio.to_thread(client.get, "cases")
    finally:
        client.close()


@pytest.mark.parametrize(
    ("http_status", "expected"),
    [
        (400, REFUSED),
        (401, UNAUTHORISED),
        (403, UNAUTHORISED),
        (404, REFUSED),
        (409, REFUSED),
        (500, INTERNAL),
        (503, UNREACHABLE),
    ],
)
async def test_a_refusal_keeps_the_controllers_words_and_gets_its_exit_status(
    http_status: int, expected: int
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"error": "expected this, found that"}, status=http_status)

    async with answering(handler) as url:
        with pytest.raises(CommandFailed, match="expected this, found that") as failed:
            await ask(url)
    assert failed.value.status == expected
    assert isinstance(failed.value, NoSuchThing) == (http_status == 404)


@pytest.mark.parametrize("http_status", [302, 404, 500])
async def test_a_server_that_is_no_controller_is_told_apart(http_status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>", status=http_status)

    async with answering(handler) as url:
        with pytest.raises(CommandFailed, match="is it a Fairuse controller") as failed:
            await ask(url)
    assert failed.value.status == UNREACHABLE


async def test_a_redirect_does_not_take_the_token_elsewhere() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPFound("/elsewhere")

    async with answering(handler) as url:
        with pytest.raises(CommandFailed):
            await ask(url)
    assert seen == ["/api/v1/cases"]


async def test_a_controller_that_does_not_answer_in_time_is_unreachable() -> None:
    release = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with answering(handler) as url:
        with pytest.raises(CommandFailed) as failed:
            await ask(url, timeout_seconds=0.2)
        release.set()
    assert failed.value.status == UNREACHABLE


async def test_what_is_typed_cannot_leave_its_place_in_the_path() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({})

    async with answering(handler) as url:
        client = Client(Access(f"{url}/behind/proxy/", None))
        await asyncio.to_thread(client.get, "cases", "../pause?x=1#", tenant="a&b", host=None)
        client.close()
    assert seen == ["/behind/proxy/api/v1/cases/..%2Fpause%3Fx%3D1%23?tenant=a%26b"]


def test_strangers_text_cannot_steer_the_terminal() -> None:
    answer = TenantAnswer(at=1.0, tenant="\x1b[2J\u202e\x9b\rname", places=(), cases=())
    assert decode(msgspec.json.encode(answer), TenantAnswer).tenant == " [2J   name"


async def test_an_errors_text_cannot_steer_the_terminal_either() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"error": "no case \x1b]0;title\x07"}, status=404)

    async with answering(handler) as url:
        with pytest.raises(CommandFailed) as failed:
            await ask(url)
    assert str(failed.value).isprintable()


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b'{"at": 1}', b"\xff", b'{"at":1,"cases":[],"x":1}']
)
def test_an_answer_of_another_version_says_what_to_do(answer: bytes) -> None:
    with pytest.raises(CommandFailed, match="controller's own version") as failed:
        decode(answer, CaseList)
    assert failed.value.status == INTERNAL
