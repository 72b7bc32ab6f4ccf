"""What a person wrote in a mail: its text, and the part of it that is theirs. Pure.

The libraries that cut quotations off use expressions that take very long over text that is made
for it; these few lines take one look at each line. What is cut off stays in the whole text.
"""

from __future__ import annotations

import re
from email.message import Message

import html_text
from lxml.etree import LxmlError

from controller.contact.inbound.letter import Letter, text_of

LONGEST_TEXT = 20_000
"""Characters kept of what a mail says."""
LONGEST_NOTE = 2_000
"""Characters shown of it in a case's history, as many as on the customer's page."""
_HTML_CHARACTERS = 100_000

_ORIGINAL = re.compile(
    r"[-_ ]{3,}(original message|oprindelig meddelelse|forwarded message|videresendt.*)[-_ ]{3,}"
    r"|_{20,}",
    re.IGNORECASE,
)
_WROTE = re.compile(r"(wrote|skrev|schrieb|écrit)\b[^:]{0,200}:$", re.IGNORECASE)
"""How a line ends that stands above what is quoted: "On Monday, Anna wrote:"."""
_HEADER_ABOVE = re.compile(r"\*?(from|fra|von|de):\*? ", re.IGNORECASE)
_HEADER_BELOW = re.compile(r"\*?(sent|sendt|date|dato|to|til|gesendet|envoyé):\*? ", re.IGNORECASE)
_LONGEST_ATTRIBUTION = 300
_SIGNATURE = "--"
"""Its space at the end has gone with all others."""


def whole_text(letter: Letter) -> str:
    """The text of a mail, bounded: its first plain part, or its HTML as text."""
    plain = html = None
    for part in letter.message.walk():
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        if part.get_content_type() == "text/plain" and plain is None:
            plain = _clean(text_of(part))
        elif part.get_content_type() == "text/html" and html is None:
            html = part
    if plain or html is None:
        return plain or ""
    return _clean(_out_of_html(html))


def own_words(text: str) -> str:
    """What the sender wrote above or between what they quote; the beginning if all is quoted."""
    lines = text.split("\n")
    kept: list[str] = []
    number = 0
    while number < len(lines) and not _begins_original(lines, number):
        attribution = _lines_of_attribution(lines, number)
        if attribution and not _is_quoted_after(lines, number + attribution):
            break
        if not attribution and not lines[number].startswith(">"):
            kept.append(lines[number])
        number += attribution or 1
    words = "\n".join(kept).strip()
    return _shortened(words or text.strip(), LONGEST_NOTE)


def _begins_original(lines: list[str], number: int) -> bool:
    """Whether the signature, or the whole of an earlier mail, begins at this line."""
    bare = lines[number].strip()
    following = lines[number + 1].strip() if number + 1 < len(lines) else ""
    return (
        lines[number] == _SIGNATURE
        or _ORIGINAL.fullmatch(bare) is not None
        or bool(_HEADER_ABOVE.match(bare) and _HEADER_BELOW.match(following))
    )


def _lines_of_attribution(lines: list[str], number: int) -> int:
    """How many lines say who wrote what follows: 1, 2 where a long one was broken, or 0."""
    first = lines[number].strip()[-_LONGEST_ATTRIBUTION:]
    if not _names_someone(first):
        return 0
    if _WROTE.search(first):
        return 1
    second = lines[number + 1].strip() if number + 1 < len(lines) else ""
    return 2 if second and _WROTE.search(f"{first} {second[-_LONGEST_ATTRIBUTION:]}") else 0


def _is_quoted_after(lines: list[str], number: int) -> bool:
    """Whether the quotation is marked line by line, so that its end can be told."""
    following = (line for line in lines[number : number + 3] if line.strip())
    return next(following, "").startswith(">")


def _names_someone(line: str) -> bool:
    """An attribution has a date or an address; "As I wrote:" has none."""
    return any(character.isdigit() for character in line) or "@" in line


def _out_of_html(part: Message) -> str:
    try:
        return html_text.extract_text(text_of(part)[:_HTML_CHARACTERS])
    except (LxmlError, ValueError, AssertionError, RecursionError):
        return "(a mail in HTML that could not be read)"


def _clean(text: str) -> str:
    lines = (
        "".join(character if character.isprintable() else " " for character in line).rstrip()
        for line in text[: 2 * LONGEST_TEXT].replace("\u2028", "\n").split("\n")
    )
    return _shortened("\n".join(lines).strip(), LONGEST_TEXT)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 6].rstrip() + " [...]"
