"""The chain that holds all cases' histories together, so that no line is changed quietly.

Each line has a digest of its own, salted so that nobody can guess what an erased line said, and a
link: the digest of the link before it and its own digest. The lines of all cases are one chain.
Changing, taking out, adding or moving a line breaks a link; cutting off the newest lines does not,
and shows only against a link that was noted elsewhere.

Erasing a case takes its lines' texts and salts. Their digests and links stay, so that the chain
holds, and a further line of the case tells of it, with the digest of what is left of them.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Literal

import msgspec

FIRST_LINK = bytes(32)
"""What stands before the first line."""
_SALT_BYTES = 16
ERASED = "erased"
"""The event of the line that tells of an erasure."""


Finding = Literal[
    "line-changed", "link-broken", "link-not-found", "erased-unrecorded", "erased-changed"
]
"""How the chain fails to hold. "line-changed": a line does not say what was written. "link-broken":
a line before it was taken out, added, moved or replaced. "link-not-found": a link that was noted
elsewhere is not in the chain, so lines were cut off its end, or the chain was made anew.
"erased-unrecorded": a line is blank, and its case does not tell that it was erased.
"erased-changed": what was left of erased lines is not what is left of them now."""

_WHAT_IS_LEFT = re.compile(r" What is left of them: ([0-9a-f]{64})\.\Z")


def new_salt() -> bytes:
    """A salt for one line."""
    return secrets.token_bytes(_SALT_BYTES)


def digest_of(salt: bytes, case_id: str, at: float, event: str, actor: str, text: str) -> bytes:
    """SHA-256 of a line: its salt, then its fields as a JSON array."""
    fields = msgspec.json.encode((case_id, at, event, actor, text))
    return hashlib.sha256(salt + fields).digest()


def link_after(before: bytes, digest: bytes) -> bytes:
    """SHA-256 of the link before and the line's digest."""
    return hashlib.sha256(before + digest).digest()


class Remains:
    """What is left of a case's lines when they are erased, one after the other."""

    def __init__(self) -> None:
        self.lines = 0
        self._digest = hashlib.sha256()

    def add(self, at: float, event: str, actor: str, digest: bytes) -> None:
        """The next line."""
        self.lines += 1
        self._digest.update(msgspec.json.encode((at, event, actor, digest)))

    def told(self, reason: str) -> str:
        """What the line says that tells of the erasure."""
        return f"{self.lines} lines erased: {reason}. What is left of them: {self._hex}."

    def are_told_by(self, text: str) -> bool:
        """Whether this is what is left of the lines that `text` tells of."""
        found = _WHAT_IS_LEFT.search(text)
        return found is not None and found[1] == self._hex

    @property
    def _hex(self) -> str:
        return self._digest.hexdigest()
