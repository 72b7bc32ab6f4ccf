"""Tenants looked up over HTTP: GET, JSON in the shape of tenants.toml, 404 for an unknown one.

Redirects are not followed: the token is for the server that is configured.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from controller.contact.delivery import one_line
from controller.contact.sources.asking import MAX_ANSWER_BYTES, AnswerUnusable, SourceAway
from controller.contact.sources.entry import read_entry
from controller.lookup_settings import HttpDirectory
from controller.tenants import Tenant
from fairuse_protocol.messages import MessageError
from fairuse_protocol.settings import SettingsError

_NO_FILE = frozenset({".", ".."})
"""Names that a path cannot hold: every server takes them for a way through its folders."""


class HttpSource:
    """One server, over a pool of connections."""

    def __init__(self, settings: HttpDirectory, timeout_seconds: float) -> None:
        """SettingsError when the authority's certificate cannot be used."""
        self._settings = settings
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._tls = _tls(settings.ca_file)
        self._session: aiohttp.ClientSession | None = None
        self.name = settings.url

    async def ask(self, tenant: str) -> Tenant | None:
        """One request."""
        if tenant in _NO_FILE:
            return None
        url = URL(self._settings.url.replace("{tenant}", quote(tenant, safe="")), encoded=True)
        try:
            async with self._open_session().get(
                url, headers=self._headers(), ssl=self._tls, allow_redirects=False
            ) as response:
                status = response.status
                body = await response.content.read(MAX_ANSWER_BYTES + 1)
                while len(body) <= MAX_ANSWER_BYTES and not response.content.at_eof():
                    body += await response.content.read(MAX_ANSWER_BYTES + 1 - len(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SourceAway(one_line(f"{type(error).__name__}: {error}")) from error
        if status == 404:
            return None
        if status != 200:
            words = body.decode("utf-8", "replace")
            raise SourceAway(one_line(f"expected status 200 or 404, found {status} {words}"))
        return _entry(body)

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        """The token is read each time, so that a new one needs no restart."""
        headers = {"Accept": "application/json", "User-Agent": "Fairuse"}
        if self._settings.token_file:
            try:
                token = Path(self._settings.token_file).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SourceAway(f"token_file cannot be read: {error}") from error
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _entry(body: bytes) -> Tenant:
    if len(body) > MAX_ANSWER_BYTES:
        raise AnswerUnusable(f"expected at most {MAX_ANSWER_BYTES} bytes, found more")
    try:
        return read_entry(body)
    except MessageError as error:
        raise AnswerUnusable(one_line(str(error))) from error
    except msgspec.DecodeError as error:
        raise AnswerUnusable(one_line(str(error))) from error


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"contact.directory.http.ca_file: {ca_file}: expected certificates as PEM: {error}"
        ) from error
