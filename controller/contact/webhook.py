"""Notices by webhook, signed as the Standard Webhooks specification 1.0.0 says.

Accepted means a status from 200 to 299. Redirects are not followed: the signature was for the
address that the customer gave.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from controller.contact.delivery import Accepted, Outcome, Refused, one_line
from controller.contact.notice import RenderedNotice
from controller.loopback import is_loopback
from controller.tenants import TenantContact

_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=10)
"""The specification advises 15 to 30 seconds."""
_ANSWER_BYTES = 1024
_SECRET_PREFIX = "whsec_"
_SHORTEST_SECRET_BYTES = 24
_GONE = 410
"""The only status by which an endpoint says that it wants nothing more; all others are failures
that a customer can mend, so they are tried again, as the specification says."""


_ANNOUNCED = {
    "policy-change": "policy.change",
    "agreement-ending": "agreement.ending",
    "agreement-ended": "agreement.ended",
}
"""What a receiver is told of that is about no case."""


class InvalidEndpoint(ValueError):
    """The webhook's address or secret cannot be used. The message says why."""


def read_secrets(path: str) -> tuple[bytes, ...]:
    """The keys in a file that holds `whsec_` and base64 a line, or InvalidEndpoint.

    More than one while a customer changes theirs: a message is signed with each of them.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidEndpoint(f"webhook_secret_file {path!r} cannot be read: {error}") from error
    if not lines:
        raise InvalidEndpoint(f"webhook_secret_file {path!r}: expected a secret, found none")
    return tuple(_key(line, path) for line in lines)


def _key(text: str, path: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise InvalidEndpoint(
            f"webhook_secret_file {path!r}: expected whsec_ and base64 ({error})"
        ) from error
    if not text.startswith(_SECRET_PREFIX) or len(key) < _SHORTEST_SECRET_BYTES:
        raise InvalidEndpoint(
            f"webhook_secret_file {path!r}: expected whsec_ and base64 of "
            f"{_SHORTEST_SECRET_BYTES} bytes or more"
        )
    return key


def signature(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: version and HMAC-SHA256 over id, time and body."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def payload(notice: RenderedNotice) -> bytes:
    """The body: what happened, when, and the facts, with the mail's own words beside them."""
    return json.dumps(
        {
            "type": _ANNOUNCED.get(notice.kind) or f"case.{notice.kind.replace('-', '_')}",
            "timestamp": datetime.fromtimestamp(notice.queued_at, UTC).isoformat(),
            "data": {**notice.data, "subject": notice.subject, "text": notice.text},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


class WebhookChannel:
    """Customers' own endpoints, over one pool of connections."""

    name = "webhook"

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        """Call the endpoint once."""
        try:
            _check_url(contact.webhook_url)
            keys = read_secrets(contact.webhook_secret_file)
        except InvalidEndpoint as error:
            return Refused(self.name, one_line(str(error)), for_good=True)
        body, timestamp = payload(notice), int(now)
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "Fairuse",
            "webhook-id": notice.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(
                signature(key, notice.id, timestamp, body) for key in keys
            ),
        }
        return await self._call(contact.webhook_url, body, headers)

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        try:
            async with self._open_session().post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                words = (await response.content.read(_ANSWER_BYTES)).decode("utf-8", "replace")
                status, reason = response.status, response.reason or ""
                again_after_seconds = _asked_seconds(response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Refused(self.name, one_line(f"{type(error).__name__}: {error}"), for_good=False)
        answer = one_line(f"{status} {reason} {words}")
        if 200 <= status < 300:
            return Accepted(self.name, answer)
        if 300 <= status < 400:
            answer += ": redirects are not followed; set webhook_url to where it leads"
        return Refused(self.name, answer, status == _GONE, again_after_seconds)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _asked_seconds(retry_after: str) -> float:
    """The header's seconds. Its other form, a date, needs the other side's clock to be right; it
    is left out."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return 0.0
    return float(retry_after[:9])


def _check_url(url: str) -> None:
    """HTTPS, or this machine: a notice names the customer's server and their link."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise InvalidEndpoint(f"webhook_url {url!r}: {error}") from error
    if parts.scheme == "https" and host:
        return
    if parts.scheme != "http" or not is_loopback(host):
        raise InvalidEndpoint(f"webhook_url: expected an https address, found {url!r}")
