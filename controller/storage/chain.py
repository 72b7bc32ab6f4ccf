"""The chain that holds all cases' histories together, so that no line is changed quietly.

Each line has a digest of its own, salted so that nobody can guess what an erased line said, and a
link: the digest of the link before it and its own digest. The lines of all cases are one chain.
Changing, taking out, adding or moving a line breaks a link; cutting off the newest lines does not,
and shows only against a link that was noted elsewhere.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

import msgspec

FIRST_LINK = bytes(32)
"""What stands before the first line."""
_SALT_BYTES = 16


Finding = Literal["line-changed", "link-broken", "link-not-found"]
"""How the chain fails to hold. "line-changed": a line does not say what was written. "link-broken":
a line before it was taken out, added, moved or replaced. "link-not-found": a link that was noted
elsewhere is not in the chain, so lines were cut off its end, or the chain was made anew."""


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
