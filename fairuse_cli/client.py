"""Requests to the controller, over one connection that is kept while it lasts."""

from __future__ import annotations

import http.client
import ipaddress
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fairuse_cli.access import Access
from fairuse_cli.failures import (
    INTERNAL,
    REFUSED,
    UNAUTHORISED,
    UNREACHABLE,
    USAGE,
    CommandFailed,
)
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message

AnswerType = TypeVar("AnswerType", bound=Message)

TIMEOUT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 64 * 2**20
"""More than the longest list takes; a wrong address may answer without end."""


class NoSuchThing(CommandFailed):
    """The controller knows nothing by that name."""

    def __init__(self, reason: str) -> None:
        super().__init__(REFUSED, reason)


class Client:
    """The controller's API. Every failure is a CommandFailed with the status to exit with."""

    def __init__(self, access: Access, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.url = access.url
        self._headers = {"Accept": JSON_CONTENT_TYPE, "User-Agent": "fairuse"}
        if access.token is not None:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._connection, self._prefix = _connection(access, timeout_seconds)

    def get(self, *path: str, **query: str | int | None) -> bytes:
        """The JSON at /api/v1/PATH; parts of the path are quoted, a query of None left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", _path(path) + (f"?{urlencode(given)}" if given else ""), None)

    def post(self, *path: str, body: Mapping[str, object]) -> bytes:
        """What the controller answers to `body`, sent to /api/v1/PATH."""
        return self._ask("POST", _path(path), msgspec.json.encode(body))

    def delete(self, *path: str) -> bytes:
        """What the controller answers to the removal of what is at /api/v1/PATH."""
        return self._ask("DELETE", _path(path), None)

    def close(self) -> None:
        """Give up the connection; the next request opens another."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {**self._headers, **({"Content-Type": JSON_CONTENT_TYPE} if body else {})}
        try:
            self._connection.request(method, self._prefix + path, body=body, headers=headers)
            response = self._connection.getresponse()
            answer = response.read(_MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise CommandFailed(UNREACHABLE, _unreachable(self.url, error)) from error
        if len(answer) > _MAX_ANSWER_BYTES:
            self.close()
            raise CommandFailed(INTERNAL, f"{self.url}: the answer to {path} has no end")
        if response.status != 200:
            raise _failure(self.url, response.status, answer)
        return answer


def decode(answer: bytes, answer_type: type[AnswerType]) -> AnswerType:
    """A typed answer that can be shown on a terminal, or CommandFailed when the controller speaks
    of what is not known here."""
    try:
        return msgspec.convert(_printable(msgspec.json.decode(answer)), answer_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CommandFailed(
            INTERNAL,
            f"the controller's answer cannot be shown: {error}. Use the fairuse command of the "
            "controller's own version, or --json to see the answer as it is",
        ) from error


def _printable(found: Any) -> Any:
    """Without control characters: customers' notes and tenants' names are strangers' text, and
    must not steer an operator's terminal."""
    match found:
        case str():
            if found.isprintable():
                return found
            return "".join(character if character.isprintable() else " " for character in found)
        case list():
            return [_printable(item) for item in found]
        case dict():
            return {_printable(key): _printable(value) for key, value in found.items()}
    return found


def _connection(access: Access, timeout_seconds: float) -> tuple[http.client.HTTPConnection, str]:
    """The connection, not yet open, and the path that the controller is under."""
    try:
        parts = urlsplit(access.url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CommandFailed(USAGE, f"--url: {access.url}: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username:
        raise CommandFailed(
            USAGE, f'--url: expected something like https://HOST:PORT, found "{access.url}"'
        )
    prefix = parts.path.rstrip("/")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_seconds), prefix
    if access.token is not None and not _is_loopback(host):
        raise CommandFailed(
            USAGE,
            f"--url: expected https for a host that is not this one, found {access.url}; "
            "the token would travel in the clear",
        )
    return http.client.HTTPConnection(host, port, timeout=timeout_seconds), prefix


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path(parts: tuple[str, ...]) -> str:
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


def _unreachable(url: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    hint = "is the controller running, and is --url (or FAIRUSE_URL) right?"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        hint = "for a certificate of your own, set SSL_CERT_FILE to its CA."
    return f"no answer from {url}: {reason}\n{hint}"


def _failure(url: str, status: int, answer: bytes) -> CommandFailed:
    try:
        reason = msgspec.json.decode(answer, type=dict[str, str])["error"]
    except (msgspec.DecodeError, KeyError):
        return CommandFailed(
            UNREACHABLE, f"{url} answered with HTTP status {status}; is it a Fairuse controller?"
        )
    reason = _printable(reason)
    match status:
        case 401:
            return CommandFailed(
                UNAUTHORISED, f"{reason}\nGive it by --token-file or FAIRUSE_TOKEN."
            )
        case 403:
            return CommandFailed(UNAUTHORISED, reason)
        case 404:
            return NoSuchThing(reason)
        case 502 | 503 | 504:
            return CommandFailed(UNREACHABLE, reason)
    return CommandFailed(REFUSED if status < 500 else INTERNAL, reason)
