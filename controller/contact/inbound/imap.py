"""Takes mail out of a mailbox over IMAP. It is moved away only after it is durable (promise 5).

What is not addressed to a case, or is refused, stays where it is, for people. A library that
blocks is used, in a thread: it is the one that is well kept, and mail is not that urgent.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from imapclient import IMAPClient, SocketTimeout

from controller.contact.addresses import CaseAddresses
from controller.contact.inbound.judging import Addressed, open_letter
from controller.contact.inbound.letter import READ_BYTES
from controller.contact.inbound.taking import Taking
from controller.settings import Imap

_log = logging.getLogger(__name__)

_PATIENCE = SocketTimeout(connect=10, read=30)
_HEADER_BYTES = 65536


class ImapReader:
    """Looks into one folder every so often. `tls` checks certificates; tests bring their own."""

    def __init__(
        self,
        settings: Imap,
        addresses: CaseAddresses,
        take: Callable[[bytes], Awaitable[Taking]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._take = take
        self._tls = tls or ssl.create_default_context()
        self._looked_at = 0
        """The newest message that was looked at; those up to it that are left are not ours."""
        self._validity: object = None
        """Messages' numbers mean the same as long as this does (RFC 3501, 2.3.1.1)."""
        self._fails = False

    async def run(self) -> None:
        """Look for ever. A mailbox that cannot be read is logged once, and tried again."""
        while True:
            try:
                await self.look()
                self._fails = False
            except Exception as error:  # noqa: BLE001 - whatever a server says must not end us
                if not self._fails:
                    _log.warning(
                        "the mailbox %s cannot be read, and is tried again every %s: %r",
                        self._settings.host,
                        self._settings.look_every,
                        error,
                    )
                self._fails = True
            await asyncio.sleep(self._settings.look_every)

    async def look(self) -> None:
        """Take what has come since the last look."""
        client = await asyncio.to_thread(self._connect)
        try:
            for number in await asyncio.to_thread(self._open, client):
                raw = await asyncio.to_thread(self._fetch_if_ours, client, number)
                taking = await self._take(raw) if raw is not None else "not-ours"
                if taking in ("taken", "duplicate"):
                    await asyncio.to_thread(self._put_away, client, number)
                self._looked_at = number
            await asyncio.to_thread(client.logout)
        except BaseException:
            # Also ends the wait of a thread that this task was cancelled from.
            _hang_up(client)
            raise

    def _connect(self) -> IMAPClient:
        settings = self._settings
        password = Path(settings.password_file).read_text(encoding="utf-8").strip()
        tls = settings.security == "tls"
        client = IMAPClient(
            settings.host,
            settings.port,
            ssl=tls,
            ssl_context=self._tls if tls else None,
            timeout=_PATIENCE,
        )
        try:
            if settings.security == "starttls":
                client.starttls(self._tls)
            client.login(settings.username, password)
        except BaseException:
            _hang_up(client)
            raise
        return client

    def _open(self, client: IMAPClient) -> list[int]:
        """The numbers of the messages that are new."""
        taken = self._settings.taken_folder
        if not client.folder_exists(taken):
            client.create_folder(taken)
        validity = client.select_folder(self._settings.folder).get(b"UIDVALIDITY")
        if validity != self._validity:
            self._validity, self._looked_at = validity, 0
        # The newest is always among those found, however old it is.
        found = client.search(["UID", f"{self._looked_at + 1}:*"])
        return sorted(number for number in found if number > self._looked_at)

    def _fetch_if_ours(self, client: IMAPClient, number: int) -> bytes | None:
        """The beginning of a message; None if it is gone, or is not ours by its headers."""
        headers = _part(client, number, f"BODY.PEEK[HEADER]<0.{_HEADER_BYTES}>")
        if headers is None or not isinstance(open_letter(headers, self._addresses), Addressed):
            return None
        return _part(client, number, f"BODY.PEEK[]<0.{READ_BYTES}>")

    def _put_away(self, client: IMAPClient, number: int) -> None:
        taken = self._settings.taken_folder
        if client.has_capability("MOVE"):
            client.move([number], taken)
            return
        client.copy([number], taken)
        client.delete_messages([number])
        client.expunge([number])


def _hang_up(client: IMAPClient) -> None:
    # The connection may be gone already.
    with suppress(OSError):
        client.shutdown()


def _part(client: IMAPClient, number: int, what: str) -> bytes | None:
    fetched = client.fetch([number], [what]).get(number, {})
    return next((each for each in fetched.values() if isinstance(each, bytes)), None)
