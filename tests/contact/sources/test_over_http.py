"""Looking tenants up over HTTP, from a real server."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from controller.contact.sources.asking import AnswerUnusable, SourceAway
from controller.contact.sources.over_http import HttpSource
from controller.lookup_settings import HttpDirectory
from controller.tenants import Tenant, TenantContact
from fairuse_protocol.settings import SettingsError

ANNA = '{"name": "Anna", "plan": "small", "contacts": [{"email": ["anna@example.org"]}]}'
ENTRY = Tenant(name="Anna", plan="small", contacts=(TenantContact(email=("anna@example.org",)),))


@dataclass
class Billing:
    """A billing system that knows one customer."""

    url: str = ""
    answer: Callable[[], web.StreamResponse] = lambda: web.Response(text=ANNA)
    paths: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.rel_url.raw_path)
        self.tokens.append(request.headers.get("Authorization", ""))
        return (
            self.answer()
            if request.rel_url.raw_path.startswith("/t/")
            else web.Response(status=404)
        )


@asynccontextmanager
async def billing(tls: ssl.SSLContext | None = None) -> AsyncIterator[Billing]:
    made = Billing()
    application = web.Application()
    application.router.add_get("/{path:.*}", made.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "https" if tls else "http"
    made.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/t/{{tenant}}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def ask(settings: HttpDirectory, tenant: str = "web42") -> Tenant | None:
    source = HttpSource(settings, 5.0)
    try:
        return await source.ask(tenant)
    finally:
        await source.close()


async def test_an_entry_is_got_with_the_token_that_the_file_holds_now(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with billing() as server:
        settings = HttpDirectory(url=server.url, token_file=str(token))
        for secret in ("one", "two"):
            token.write_text(f"{secret}\n")
            assert await ask(settings) == ENTRY
        token.unlink()
        with pytest.raises(SourceAway, match="token_file cannot be read"):
            await ask(settings)
    assert server.tokens == ["Bearer one", "Bearer two"]


async def test_404_is_an_unknown_tenant_and_nothing_else_is() -> None:
    async with billing() as server:
        server.answer = lambda: web.Response(status=404)
        assert await ask(HttpDirectory(url=server.url)) is None
        for status in (204, 301, 401, 403, 410, 429, 500, 503):
            server.answer = lambda status=status: web.Response(  # type: ignore[misc]  # bound now
                status=status, headers={"Location": "/t/elsewhere"}
            )
            with pytest.raises(SourceAway, match=f"found {status}"):
                await ask(HttpDirectory(url=server.url))
    assert "/t/elsewhere" not in server.paths


@pytest.mark.parametrize(
    ("tenant", "path"),
    [
        ("web 42/../admin", "/t/web%2042%2F..%2Fadmin"),
        ("a?b#c%2F", "/t/a%3Fb%23c%252F"),
        ("Ærø", "/t/%C3%86r%C3%B8"),
        ("{tenant}", "/t/%7Btenant%7D"),
    ],
)
async def test_a_name_is_one_part_of_the_path_whatever_is_in_it(tenant: str, path: str) -> None:
    async with billing() as server:
        assert await ask(HttpDirectory(url=server.url), tenant) == ENTRY
    assert server.paths == [path]


@pytest.mark.parametrize("tenant", [".", ".."])
async def test_a_name_that_no_path_can_hold_is_nobodys(tenant: str) -> None:
    async with billing() as server:
        assert await ask(HttpDirectory(url=server.url), tenant) is None
    assert server.paths == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<html>", "malformed"),
        ('{"nmae": "Anna"}', "nmae"),
        ('{"language": "dk"}', 'found "dk"'),
        ('{"contacts": [{"email": ["anna"]}]}', r"contacts\[0\].email: expected an address"),
        ('{"contacts": [{"webhook_secret_file": "/etc/shadow"}]}', "webhook_secret_file"),
        (f'{{"name": "{"x" * 70_000}"}}', "65536 bytes"),
        ("\x80", "malformed|utf"),
    ],
)
async def test_an_answer_that_cannot_be_used_says_why(answer: str, reason: str) -> None:
    async with billing() as server:
        server.answer = lambda: web.Response(body=answer.encode("latin-1"))
        with pytest.raises(AnswerUnusable, match=reason):
            await ask(HttpDirectory(url=server.url))


async def test_the_servers_certificate_is_checked(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for name, each in (("right", authority), ("wrong", other)):
        each.cert_pem.write_to_path(tmp_path / name)
    async with billing(context) as server:
        right = HttpDirectory(url=server.url, ca_file=str(tmp_path / "right"))
        assert await ask(right) == ENTRY
        for ca_file in (str(tmp_path / "wrong"), ""):
            with pytest.raises(SourceAway, match="CERTIFICATE_VERIFY_FAILED"):
                await ask(HttpDirectory(url=server.url, ca_file=ca_file))
    assert server.paths == ["/t/web42"]


async def test_a_server_that_is_not_there_is_away() -> None:
    async with billing() as server:
        pass
    with pytest.raises(SourceAway, match="Connect"):
        await ask(HttpDirectory(url=server.url))


def test_an_authority_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    settings = HttpDirectory(url="https://billing.example/{tenant}", ca_file=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="ca_file"):
        HttpSource(settings, 5.0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://billing.example/tenants", "{tenant} in it"),
        ("http://billing.example/{tenant}", "https, or http for a loopback host"),
        ("ftp://127.0.0.1/{tenant}", "https, or http for a loopback host"),
    ],
)
def test_an_address_without_a_name_or_in_the_clear_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        HttpDirectory(url=url)
