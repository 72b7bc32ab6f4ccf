"""What mail servers report of a notice: delivery status notifications (RFC 3464). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from controller.contact.delivery import one_line
from controller.contact.inbound.letter import Letter

_RECIPIENTS = 100
_WORDS = 300


@dataclass(frozen=True)
class Status:
    """What became of a mail to one recipient."""

    action: str
    """"failed", "delayed", "delivered", "relayed" or "expanded"."""
    recipients: tuple[str, ...]
    """The address that it was sent to, as far as it is told; also the one that it went on to."""
    words: str
    """What the server says of it."""


def is_report(letter: Letter) -> bool:
    """Whether it is a delivery report by its form."""
    message = letter.message
    return message.get_content_type() == "multipart/report" and (
        str(message.get_param("report-type", "")).lower() == "delivery-status"
        or any(part.get_content_type() == _STATUS for part in _parts(message))
    )


def statuses(letter: Letter) -> tuple[Status, ...]:
    """What a report says of each recipient; empty where it says nothing that can be read."""
    found = []
    for part in _parts(letter.message):
        if part.get_content_type() != _STATUS:
            continue
        blocks = part.get_payload()
        # The first block is about the mail as a whole, the others are about a recipient each.
        for block in blocks[: _RECIPIENTS + 1] if isinstance(blocks, list) else ():
            if isinstance(block, Message) and (status := _status(block)):
                found.append(status)
    return tuple(found)


def failed_recipients(letter: Letter) -> tuple[str, ...]:
    """Whom a bounce without a report names in its header, as Exim and others do."""
    named = letter.header("X-Failed-Recipients")
    return tuple(each.strip().lower() for each in named.split(",") if "@" in each)[:_RECIPIENTS]


_STATUS = "message/delivery-status"


def _parts(message: Message) -> Iterator[Message]:
    """Not what is inside a mail that is sent back: that may be a report itself."""
    payload = message.get_payload()
    for part in payload if isinstance(payload, list) else ():
        if isinstance(part, Message):
            yield part


def _status(block: Message) -> Status | None:
    action = _field(block, "Action").lower()
    if not action:
        return None
    named = (_address(_field(block, name)) for name in ("Original-Recipient", "Final-Recipient"))
    said = _typed(_field(block, "Diagnostic-Code")) or _field(block, "Status")
    server = _typed(_field(block, "Remote-MTA"))
    return Status(
        action=action,
        recipients=tuple(dict.fromkeys(address for address in named if address)),
        words=one_line(f"{server}: {said}" if server else said, _WORDS),
    )


def _field(block: Message, name: str) -> str:
    return one_line(str(block.get(name, "")), 1000)


def _typed(value: str) -> str:
    """What follows the type, as in "smtp; 550 5.1.1 no such user"."""
    before, semicolon, after = value.partition(";")
    return after.strip() if semicolon else before.strip()


def _address(value: str) -> str:
    address = _typed(value).strip("<>").lower()
    return address if "@" in address else ""
