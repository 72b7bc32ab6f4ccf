"""Notices by mail: composed so that every mail program can show them, sent by SMTP.

Accepted means that the server answered 250 to the message itself, for at least one recipient.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path

import aiosmtplib

from controller.contact.addresses import CaseAddresses
from controller.contact.delivery import Accepted, Outcome, Refused, one_line
from controller.contact.notice import RenderedNotice
from controller.settings import Smtp
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)

_POLICY = SMTP.clone(cte_type="7bit", max_line_length=200)
"""Seven bits pass through every server. The generous length keeps long ids in headers whole."""
_ANSWER_SECONDS = 30.0
"""For each answer of the server: a notice is not so urgent that a busy one may not think."""
_WHOLE_SECONDS = 120.0
_GOODBYE_SECONDS = 2.0


class InvalidAddress(ValueError):
    """What is configured as an address is none. The message shows it."""


def compose(
    notice: RenderedNotice,
    *,
    sender: str,
    recipients: tuple[str, ...],
    now: float,
    reply_to: str = "",
) -> EmailMessage:
    """The whole mail, or InvalidAddress. The Message-ID comes from the notice's id alone."""
    origin = _address(sender)
    message = EmailMessage(policy=_POLICY)
    message["From"] = origin
    message["To"] = tuple(_address(recipient) for recipient in recipients)
    if reply_to:
        message["Reply-To"] = reply_to
    message["Subject"] = one_line(notice.subject, 200)
    message["Date"] = datetime.fromtimestamp(now, UTC)
    message["Message-ID"] = _message_id(notice.id, origin)
    # The case itself stands at the root of the thread, so that it holds together even when an
    # operator's step made the first mail about it.
    references = [_message_id(f"case-{notice.case_id}", origin)] if notice.case_id else []
    if notice.first_notice_id not in ("", notice.id):
        first = _message_id(notice.first_notice_id, origin)
        message["In-Reply-To"] = first
        references.append(first)
    if references:
        message["References"] = " ".join(references)
    message["List-Id"] = f"Fair use notices <fairuse.{origin.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notice.text)
    message.add_alternative(notice.html, subtype="html")
    for number, picture in enumerate(notice.pictures, 1):
        _html_part(message).add_related(
            picture.png,
            "image",
            "png",
            cid=f"<{picture.content_id}>",
            filename=f"use-over-time-{number}.png",
            disposition="inline",
        )
    return message


class MailChannel:
    """The provider's mail server. `tls` checks certificates; tests bring their own authority."""

    name = "email"

    def __init__(
        self,
        settings: Smtp,
        tls: ssl.SSLContext | None = None,
        addresses: CaseAddresses | None = None,
    ) -> None:
        """Without `addresses`, what comes back goes to the sender's own."""
        self._settings = settings
        self._addresses = addresses
        self._tls = tls or ssl.create_default_context()

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        """Hand the notice to the mail server once."""
        if not self._settings.host:
            return self._refused("no mail server is set in contact.smtp", for_good=True)
        if not contact.email:
            return self._refused("no mail address is listed", for_good=True)
        sender = self._settings.sender
        # An announcement is about no case that an answer could go to.
        ours = self._addresses if notice.case_id else None
        try:
            message = compose(
                notice,
                sender=sender,
                recipients=contact.email,
                now=now,
                reply_to=_reply_to(notice, ours) if ours else "",
            )
        except InvalidAddress as error:
            return self._refused(str(error), for_good=True)
        returns_to = ours.for_bounces(notice.id) if ours else _bare(sender)
        return await self._hand_over(message, returns_to, contact.email)

    async def close(self) -> None:
        """Nothing is held open between notices."""

    async def _hand_over(
        self, message: EmailMessage, returns_to: str, recipients: tuple[str, ...]
    ) -> Outcome:
        server = f"{self._settings.host}:{self._settings.port}"
        try:
            refused, answer = await self._transaction(message, returns_to, recipients)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return self._refused(
                f"{server}: "
                + "; ".join(
                    f"{one.recipient}: {one.code} {one.message}" for one in error.recipients
                ),
                for_good=all(one.code >= 500 for one in error.recipients),
            )
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            return self._refused(
                f"{server}: {error.code} {error.message}", for_good=error.code >= 500
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            # Greeting, encryption, login, a connection that broke: not about this message.
            return self._refused(f"{server}: {error}", for_good=False)
        others = "".join(
            f"; refused {address}: {reply.code} {reply.message}"
            for address, reply in refused.items()
        )
        took = tuple(_bare(each).lower() for each in recipients if _bare(each) not in refused)
        return Accepted(self.name, one_line(f"{server}: 250 {answer}{others}"), took)

    async def _transaction(
        self, message: EmailMessage, returns_to: str, recipients: tuple[str, ...]
    ) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
        """Who was refused, and the server's answer to the message. Raises for anything less."""
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username or None,
            password=_password(settings),
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=None if settings.security == "none" else self._tls,
            timeout=_ANSWER_SECONDS,
        )
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                await client.connect()
                return await client.sendmail(
                    returns_to, [_bare(each) for each in recipients], message.as_bytes()
                )
        finally:
            await _say_goodbye(client)

    def _refused(self, reason: str, *, for_good: bool) -> Refused:
        return Refused(self.name, one_line(reason), for_good)


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    """End the session. What goes wrong here no longer changes what became of the message."""
    try:
        if client.is_connected:
            await client.quit(timeout=_GOODBYE_SECONDS)
    except (aiosmtplib.SMTPException, OSError) as error:
        _log.debug("the mail server did not end the session: %s", error)
    finally:
        client.close()


def _reply_to(notice: RenderedNotice, ours: CaseAddresses) -> str:
    """An answer to a letter about several cases is about all of them; one to an announcement is
    about none, and goes to the sender."""
    if not notice.case_id:
        return ""
    if "others" in notice.data:
        return ours.for_bounces(notice.id)
    return ours.for_replies(notice.case_id)


def _password(settings: Smtp) -> str | None:
    """Read for every notice, so that a changed password needs no restart."""
    if not settings.password_file:
        return None
    return Path(settings.password_file).read_text(encoding="utf-8").strip()


def _bare(address: str) -> str:
    return _address(address).addr_spec


def _address(text: str) -> Address:
    """An address out of the configuration; "Name <a@b>" and "a@b" are both fine."""
    name, bare = parseaddr(text)
    try:
        address = Address(display_name=one_line(name), addr_spec=bare)
    except (ValueError, IndexError, MessageError) as error:
        raise InvalidAddress(f"not a mail address: {one_line(text)!r}: {error}") from error
    if not (address.username and address.domain and bare.isascii() and text.isprintable()):
        raise InvalidAddress(f"not a mail address in plain ASCII: {one_line(text)!r}")
    return address


def _message_id(of: str, origin: Address) -> str:
    return f"<{of}@{origin.domain}>"


def _html_part(message: EmailMessage) -> EmailMessage:
    part = message.get_body(("html",))
    if not isinstance(part, EmailMessage):
        raise TypeError(f"a notice needs an HTML part, found {type(part).__name__}")
    return part
