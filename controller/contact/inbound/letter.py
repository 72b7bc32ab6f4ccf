"""A mail as it came in, read within bounds. Pure, and never an exception whatever the bytes are.

Only the beginning of a large mail is read: what a person writes stands before what they attach.
The standard library's parser is used with its oldest policy, which gives headers as they are:
the newer ones parse addresses, and take long over some that are made for it.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from controller.contact.delivery import one_line

READ_BYTES = 512 * 1024
"""How much of a mail is read at all."""
_HEADER_BYTES = 64 * 1024
_CONTAINERS = 20
"""Parts that hold parts. The parser takes their depth times the lines of the mail."""
_BOUNDARIES = 1000
"""Lines that may begin a part, each of which becomes an object."""
_BLANK_LINES_IN_REPORT = 5000
"""The parser makes an object of each block of a delivery report."""
_CONTENT_HEADER_BYTES = 4096
"""The parser takes the square of how many semicolons there are between two quotation marks."""
_HEADER_CHARACTERS = 1000
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_CONTAINER = re.compile(rb"(?:multipart|message)/", re.IGNORECASE)
_BOUNDARY = re.compile(rb"^--", re.MULTILINE)
_CONTENT_HEADER = re.compile(
    rb"^content-[a-z-]+:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE
)
_WRITTEN_IN = re.compile(r"utf|ascii|iso|cp|koi8|gb|big5|euc|shift|mac|hz|johab|tis")
"""Codecs that people write in. Of the others, some take a time that grows with the square."""


@dataclass(frozen=True)
class Unreadable:
    """Too much of something, or no mail at all."""

    why: str


@dataclass(frozen=True)
class Letter:
    """One mail."""

    message: Message
    fingerprint_of_content: str
    """The same for every copy of it, however often it was sent and whichever way it came."""

    def header(self, name: str) -> str:
        """The first header of this name as text, bounded, on one line; empty if there is none."""
        return next(self.headers(name), "")

    def headers(self, name: str) -> Iterator[str]:
        """All headers of this name, the newest (topmost) first."""
        for value in self.message.get_all(name, ()):
            yield _header_text(value)

    def has(self, name: str) -> bool:
        """Whether there is such a header."""
        return name in self.message


def read_letter(raw: bytes) -> Letter | Unreadable:
    """Read what came in; of a long mail, its first READ_BYTES."""
    raw = raw[:READ_BYTES]
    end = _END_OF_HEADERS.search(raw)
    header_bytes = end.start() if end else len(raw)
    if header_bytes > _HEADER_BYTES:
        return Unreadable(f"its headers have more than {_HEADER_BYTES} bytes")
    if sum(1 for _ in _CONTAINER.finditer(raw)) > _CONTAINERS:
        return Unreadable(f"it has more than {_CONTAINERS} parts with parts in them")
    if sum(1 for _ in _BOUNDARY.finditer(raw)) > _BOUNDARIES:
        return Unreadable(f"more than {_BOUNDARIES} of its lines may begin a part")
    if any(len(each[0]) > _CONTENT_HEADER_BYTES for each in _CONTENT_HEADER.finditer(raw)):
        return Unreadable(f"a header about its content has more than {_CONTENT_HEADER_BYTES} bytes")
    if b"delivery-status" in raw.lower() and _blank_lines(raw) > _BLANK_LINES_IN_REPORT:
        return Unreadable(f"a report with more than {_BLANK_LINES_IN_REPORT} blocks")
    message = BytesParser(policy=compat32).parsebytes(raw)
    if not message.keys():
        return Unreadable("it has no headers")
    body = raw[end.end() :] if end else b""
    return Letter(message, _fingerprint(message, body))


def text_of(part: Message) -> str:
    """What a part of text says, whatever it claims about its encoding."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        codec = codecs.lookup(str(part.get_content_charset("utf-8"))).name
    except (LookupError, ValueError):
        codec = "utf-8"
    if not _WRITTEN_IN.match(codec):
        codec = "utf-8"
    # UTF-7 and the like can hold halves of characters, which no database takes.
    whole = payload.decode(codec, "replace").encode("utf-8", "replace").decode()
    return whole.replace("\r\n", "\n").replace("\r", "\n")


def _blank_lines(raw: bytes) -> int:
    return len(re.findall(rb"\n\r?\n", raw))


def _fingerprint(message: Message, body: bytes) -> str:
    """Not of the Message-ID alone: some programs give all their mails the same.

    The body's tail is left out, because where it is cut off depends on what servers put on top.
    """
    digest = hashlib.sha256()
    for name in ("Message-ID", "Date", "From"):
        digest.update(str(message.get(name, "")).strip().encode("utf-8", "replace") + b"\n")
    digest.update(body[: READ_BYTES - _HEADER_BYTES].replace(b"\r\n", b"\n").rstrip())
    return digest.hexdigest()


def _header_text(value: object) -> str:
    raw = str(value)[:_HEADER_CHARACTERS]
    try:
        decoded = str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, ValueError):
        decoded = raw
    return one_line(decoded, _HEADER_CHARACTERS)
