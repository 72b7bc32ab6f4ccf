"""`fairuse-controller take-mail`: one mail on standard input, as mail servers pipe it.

It goes into the store, whether or not a controller runs. The exit status is what sysexits.h says:

    0   taken, taken before, or thrown away because it was made to do harm: a bounce would go to
        whoever the sender pretends to be
    67  not addressed to a case (EX_NOUSER)
    65  of a case that has sent more than is kept (EX_DATAERR)
    75  it could not be kept now, or nothing came at all; the mail server tries again (EX_TEMPFAIL)

Every mail has a header at least, so that an empty input is a pipe that broke. Postfix sends a mail
back for every other status than 0 and 75, and would have lost it with 0.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import BinaryIO

from controller.contact.addresses import CaseAddresses
from controller.contact.inbound.letter import READ_BYTES
from controller.contact.inbound.taking import Taking, take
from controller.contact.links import read_or_make_secret
from controller.settings import ControllerSettings, load_controller_settings
from controller.storage.database import Database
from fairuse_protocol.settings import SettingsError

_log = logging.getLogger(__name__)

_TRY_AGAIN = 75
_STATUS: dict[Taking, int] = {
    "taken": 0,
    "duplicate": 0,
    "hostile": 0,
    "not-ours": 67,
    "too-many": 65,
}
_CHUNK_BYTES = 65536


def take_mail(config: Path, stdin: BinaryIO) -> int:
    """Take what is on `stdin`; returns the exit status. Whatever fails, nothing is lost."""
    try:
        raw = _read(stdin)
        if not raw.strip():
            _log.error("expected a mail on standard input, found nothing; it is asked for again")
            return _TRY_AGAIN
        return _STATUS[asyncio.run(_take(load_controller_settings(config), raw))]
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not bounce a customer's mail
        _log.error("the mail could not be kept now: %s", error)
        return _TRY_AGAIN


async def _take(settings: ControllerSettings, raw: bytes) -> Taking:
    mailbox = settings.contact.mailbox.reply_to
    if not mailbox:
        raise SettingsError("contact.mailbox.reply_to: expected the mailbox's address, found none")
    secret = read_or_make_secret(Path(settings.contact.link_secret_file))
    database = await Database.open(settings.storage.database, settings.storage.password_file)
    try:
        return await take(database, CaseAddresses(secret, mailbox), raw, time.time())
    finally:
        await database.close()


def _read(stdin: BinaryIO) -> bytes:
    """The beginning is kept; the rest is read too, since who writes it waits for that."""
    raw = stdin.read(READ_BYTES)
    while stdin.read(_CHUNK_BYTES):
        pass
    return raw
