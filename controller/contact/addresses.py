"""Addresses that one case's mail comes back to: signed, so that nobody writes into another's case.

    <local>+<case>.<signature>@<domain>         Reply-To: what a customer writes
    <local>+b.<letter>.<signature>@<domain>     envelope sender (VERP): bounces and the like

Only small letters and digits, since some mail servers change the case of what they pass on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

_PURPOSE = b"fairuse mail address 1"
"""Signed with every address, so that the links' secret can never be led to sign one."""
_SIGNATURE_BYTES = 10
"""80 bits, the least that RFC 2104 advises: a local part has room for no more."""
LONGEST_ID = 32
_ID = re.compile(rf"[a-z0-9-]{{1,{LONGEST_ID}}}")
_EXTENSION = re.compile(rf"(b\.)?([a-z0-9-]{{1,{LONGEST_ID}}})\.([a-z2-7]{{16}})")


@dataclass(frozen=True)
class ForCase:
    """What a customer writes about a case."""

    id: str


@dataclass(frozen=True)
class ForLetter:
    """What mail servers say about a letter, and what customers say to one about several cases."""

    id: str


@dataclass(frozen=True)
class Forged:
    """Made to look like one of ours."""

    address: str


Meaning = ForCase | ForLetter | Forged


class CaseAddresses:
    """Makes and reads the addresses of one mailbox. `mailbox` is its plain address."""

    def __init__(self, secret: bytes, mailbox: str) -> None:
        self._secret = secret
        self._local, _, self._domain = mailbox.lower().partition("@")
        # What stands before and after keeps "x-fairuse+..." and "...@example.com.evil" out.
        self._ours = re.compile(
            rf"(?<![\w.+-]){re.escape(self._local)}\+([\w.+-]{{1,128}})"
            rf"@{re.escape(self._domain)}(?![\w.-]*\w)",
            re.IGNORECASE | re.ASCII,
        )

    def for_replies(self, case_id: str) -> str:
        """Where a customer's answer to this case goes."""
        return self._signed("", case_id)

    def for_bounces(self, letter_id: str) -> str:
        """Where mail servers report what became of this letter, which goes by a notice's id."""
        return self._signed("b.", letter_id)

    def first_meaning(self, texts: Iterable[str]) -> Meaning | None:
        """What the first of our addresses in `texts` (headers, the best first) stands for.

        One with a good signature is preferred to any that is forged; None: there is none.
        """
        forged = None
        for text in texts:
            for found in self._ours.finditer(text):
                meaning = self._meaning(found[1].lower())
                if not isinstance(meaning, Forged):
                    return meaning
                forged = forged or meaning
        return forged

    def _meaning(self, extension: str) -> Meaning:
        match = _EXTENSION.fullmatch(extension)
        if match is None:
            return Forged(extension)
        kind, id_, signature = match[1] or "", match[2], match[3]
        if not hmac.compare_digest(signature, self._signature(kind, id_)):
            return Forged(extension)
        return ForLetter(id_) if kind else ForCase(id_)

    def _signed(self, kind: str, id_: str) -> str:
        if not _ID.fullmatch(id_):
            raise ValueError(
                f"id for a mail address: expected 1 to {LONGEST_ID} of a-z, 0-9 and -, "
                f"found {id_!r}"
            )
        return f"{self._local}+{kind}{id_}.{self._signature(kind, id_)}@{self._domain}"

    def _signature(self, kind: str, id_: str) -> str:
        message = b"\n".join((_PURPOSE, kind.encode(), id_.encode()))
        mac = hmac.new(self._secret, message, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
        return base64.b32encode(mac).decode().lower()
