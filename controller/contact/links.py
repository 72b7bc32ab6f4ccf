"""Links that open one customer's one case: signed, expiring, good for nothing else.

A link's token is `<case id>.<expiry>.<language>.<signature>`; the language is that of the letter
that it stands in, and may be missing. Whoever holds it may read that case and answer
it, so it is the secret; pages that it opens are never stored, indexed or named in a Referer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_CASE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z_]{2,12}")
_TOKEN = re.compile(
    r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,12})(?:\.([A-Za-z_]{2,12}))?\.([A-Za-z0-9_-]{22})"
)
_SIGNATURE_BYTES = 16
"""Half of SHA-256's output, the least that RFC 2104 advises: links stay short."""
_PURPOSE = b"fairuse customer link 1"
"""Signed with every link, so that the same secret can never be led to sign one by other means."""
SECRET_BYTES = 32


@dataclass(frozen=True)
class Opened:
    """What a link opens."""

    case_id: str
    language: str
    """The code of its reader's; empty: the link does not say."""


class LinkRefused(Exception):
    """A link does not open anything. The text is for the log, never for the visitor."""


class CustomerLinks:
    """Makes and checks customers' links. `base_url` is where their browsers find the pages."""

    def __init__(self, secret: bytes, base_url: str, clock: Callable[[], float]) -> None:
        if len(secret) < SECRET_BYTES:
            raise ValueError(
                f"the links' secret: expected {SECRET_BYTES} bytes or more, found {len(secret)}"
            )
        self._secret = secret
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    def url_for(self, case_id: str, expires_at: float, language: str = "") -> str:
        """The link to one case, good until `expires_at` (seconds since the epoch), for a reader of
        the language with this code."""
        if not _CASE_ID.fullmatch(case_id):
            raise ValueError(f"case id: expected letters, digits, - and _, found {case_id!r}")
        if language and not _LANGUAGE.fullmatch(language):
            raise ValueError(f"language: expected a code such as pt_BR, found {language!r}")
        signed = ".".join(part for part in (case_id, str(int(expires_at)), language) if part)
        return f"{self._base_url}/c/{signed}.{self._signature(signed)}"

    def opened_by(self, token: str) -> Opened:
        """What `token` opens now, or LinkRefused."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise LinkRefused("not a token of ours")
        case_id, expiry, language, signature = match.groups()
        if not hmac.compare_digest(signature, self._signature(token.rpartition(".")[0])):
            raise LinkRefused("the signature does not match")
        if self._clock() >= int(expiry):
            raise LinkRefused(f"expired at {expiry}")
        return Opened(case_id, language or "")

    def _signature(self, signed: str) -> str:
        message = b"\n".join((_PURPOSE, *(part.encode() for part in signed.split("."))))
        mac = hmac.new(self._secret, message, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def read_or_make_secret(path: Path) -> bytes:
    """The secret in `path`; made, readable by its owner only, when there is none yet.

    Raises OSError when it can be neither read nor made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_bytes(SECRET_BYTES)
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return secret
