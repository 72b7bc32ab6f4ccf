"""The one HTTP connection to the controller: certificates, timeouts, and what answers mean."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from fairuse_agent.reporting.credential import CredentialError, read_credential
from fairuse_agent.settings import ControllerLink
from fairuse_protocol.limits import (
    EnrolAnswer,
    EnrolRequest,
    ReportAnswer,
    decode_report_answer,
)
from fairuse_protocol.messages import (
    JSON_CONTENT_TYPE,
    MSGPACK_CONTENT_TYPE,
    PROTOCOL_VERSION,
    MessageError,
    decode_with,
)
from fairuse_protocol.settings import SettingsError

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_MAX_ANSWER_BYTES = 4 * 2**20
_NEVER_ACCEPTED = (400, 413, 415)
_BACKOFF_FIRST_SECONDS = 0.5
_BACKOFF_LONGEST_SECONDS = 30.0
"""Well under the limiter's default `max_silence`, so that a controller that was restarted is
heard before its limits are lifted."""
_RETRY_AFTER_LONGEST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The report is durable; this is the state that the host's limits should have."""

    answer: ReportAnswer


@dataclass(frozen=True, slots=True)
class Refused:
    """This report will never be accepted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing is known of the report: send it again, not before `retry_after_seconds`."""

    reason: str
    retry_after_seconds: float = 0.0


Outcome = Accepted | Refused | Failed


class EnrolmentError(Exception):
    """The host could not be enrolled. The text says why."""


def backoff_seconds(attempt: int, random_number: float) -> float:
    """How long to wait after the `attempt`-th failure in a row (from 0).

    Doubles up to 30 s; `random_number` in [0, 1) spreads it over its upper half, so that a fleet
    does not come back in step.
    """
    longest = min(_BACKOFF_FIRST_SECONDS * 2.0 ** min(attempt, 16), _BACKOFF_LONGEST_SECONDS)
    return longest * (0.5 + random_number / 2)


def check_url(url: str) -> URL:
    """The controller's address, or raise SettingsError: never a credential in the clear."""
    try:
        parsed = URL(url)
    except ValueError as error:
        raise SettingsError(f'controller.url: expected a URL, found "{url}": {error}') from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.user:
        raise SettingsError(
            f'controller.url: expected "https://HOST[:PORT]" without a user, found "{url}"'
        )
    if parsed.scheme == "http" and not _is_loopback(parsed.host):
        raise SettingsError(
            f'controller.url: plain http is for loopback addresses only, found "{url}"; '
            "use https, and ca_file if the certificate is from your own authority"
        )
    return parsed


class Link:
    """Sends reports. Made by `open_link`."""

    def __init__(self, session: aiohttp.ClientSession, url: URL, credential_file: Path) -> None:
        self._session = session
        self._reports = url / "agent/v1/reports"
        self._credential_file = credential_file
        self._credential = read_credential(credential_file)

    async def send(self, body: bytes) -> Outcome:
        """Send one encoded report and say what became of it. Never raises for the network."""
        headers = {
            "Authorization": f"Bearer {self._credential}",
            "Content-Type": MSGPACK_CONTENT_TYPE,
        }
        try:
            async with self._session.post(
                self._reports, data=body, headers=headers, allow_redirects=False
            ) as response:
                return self._understand(response, await _read_bounded(response))
        except TimeoutError:
            return Failed(f"{self._reports}: no answer within {_TIMEOUT.total:g} s")
        except (aiohttp.ClientError, MessageError) as error:
            return Failed(f"{self._reports}: {str(error) or type(error).__name__}")

    def _understand(self, response: aiohttp.ClientResponse, body: bytes) -> Outcome:
        if response.status == 200:
            answer = decode_report_answer(body)
            if answer.protocol != PROTOCOL_VERSION:
                return Failed(
                    f"the controller answers in protocol {answer.protocol}, this agent speaks "
                    f"{PROTOCOL_VERSION}: update the older one"
                )
            return Accepted(answer)
        reason = f"{response.status} {_error_text(body)}"
        if response.status in _NEVER_ACCEPTED:
            return Refused(reason)
        if response.status in (401, 403):
            reason += self._take_new_credential()
        return Failed(f"{self._reports}: {reason}", _retry_after(response))

    def _take_new_credential(self) -> str:
        """The file may have a newer one by now, from an enrolment while this runs."""
        try:
            self._credential = read_credential(self._credential_file)
        except CredentialError as error:
            return f" ({error})"
        return " (if the host's credential was revoked, enrol it again)"


@asynccontextmanager
async def open_link(settings: ControllerLink) -> AsyncIterator[Link]:
    """A link to the controller; SettingsError or CredentialError when it can never work."""
    url = check_url(settings.url)
    async with _session(settings) as session:
        yield Link(session, url, Path(settings.credential_file))


async def ask_for_credential(settings: ControllerLink, host: str, token: str) -> str:
    """Exchange a one-time token for the host's credential, or raise EnrolmentError."""
    url = check_url(settings.url) / "agent/v1/enrol"
    request = msgspec.json.encode(EnrolRequest(host=host, token=token))
    try:
        async with (
            _session(settings) as session,
            session.post(
                url,
                data=request,
                headers={"Content-Type": JSON_CONTENT_TYPE},
                allow_redirects=False,
            ) as response,
        ):
            body = await _read_bounded(response)
            if response.status != 200:
                raise EnrolmentError(f"{url}: {response.status} {_error_text(body)}")
            answer = decode_with(msgspec.json.Decoder(EnrolAnswer), body)
    except TimeoutError as error:
        raise EnrolmentError(f"{url}: no answer within {_TIMEOUT.total:g} s") from error
    except (aiohttp.ClientError, MessageError) as error:
        raise EnrolmentError(f"{url}: {error}") from error
    if answer.host != host:
        raise EnrolmentError(f'{url}: asked for host "{host}", was answered for "{answer.host}"')
    return answer.credential


def _session(settings: ControllerLink) -> aiohttp.ClientSession:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:  # ssl.SSLError is one too
        raise SettingsError(
            f"controller.ca_file: expected PEM certificates in {settings.ca_file}: {error}"
        ) from error
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=1), timeout=_TIMEOUT
    )


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise MessageError(f"expected at most {_MAX_ANSWER_BYTES} bytes in an answer")
    return bytes(body)


def _error_text(body: bytes) -> str:
    """The `error` of a JSON answer, or the beginning of whatever came instead."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        return str(found["error"])[:500]
    return body[:200].decode(errors="replace") or "(no text)"


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Seconds of a Retry-After header; its other form, a date, is read as none."""
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return 0.0
    return min(float(text), _RETRY_AFTER_LONGEST_SECONDS)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
