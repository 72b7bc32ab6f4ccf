"""The demo's mail server: takes what the controller sends, and keeps it."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

_SENTENCE = re.compile(r"^Over the last .+?(?=\r?\n\r?\n)", re.MULTILINE | re.DOTALL)
"""A paragraph of its own in the mails about what was seen."""
_LINK = re.compile(r"https?://\S+/c/\S+")


@dataclass(frozen=True)
class Mail:
    """One mail as it was received."""

    at: float
    recipients: tuple[str, ...]
    subject: str
    text: str
    pictures: int
    file: Path

    @property
    def sentence(self) -> str:
        """What was seen, in one sentence; empty if the mail has none."""
        found = _SENTENCE.search(self.text)
        return " ".join(found[0].split()) if found else ""

    @property
    def link(self) -> str:
        """The customer's page of the case; empty if the mail has none."""
        found = _LINK.search(self.text)
        return found[0] if found else ""


class Mailbox:
    """An SMTP server on loopback. Use as `async with`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.mails: list[Mail] = []
        self.port = 0

    async def __aenter__(self) -> Mailbox:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="mail.hosting.example", ident="Fairuse demo"),
            "127.0.0.1",
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def about(self, case_id: str, *, since: float) -> Mail | None:
        """The first mail about a case since that time of the monotonic clock."""
        return next(
            (mail for mail in self.mails if mail.at >= since and case_id in mail.text), None
        )

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Called by the server for every mail."""
        del server, session
        content = envelope.original_content or b""
        file = self._directory / f"{len(self.mails) + 1:02d}.eml"
        file.write_bytes(content)
        self.mails.append(read_mail(content, tuple(envelope.rcpt_tos), file, time.monotonic()))
        return f"250 2.0.0 taken as {file.name}"


def read_mail(content: bytes, recipients: tuple[str, ...], file: Path, at: float) -> Mail:
    """What matters of a received mail."""
    message = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
    body = message.get_body(("plain",))
    return Mail(
        at=at,
        recipients=recipients,
        subject=str(message["Subject"]),
        text="" if body is None else str(body.get_content()),
        pictures=sum(part.get_content_maintype() == "image" for part in message.walk()),
        file=file,
    )
