"""A mail becomes durable here, once, whichever way and however often it comes (promise 5).

Only what bears an address of ours with a good signature is kept at all, and only its beginning.
What it is, is judged later by the running controller: mail is taken while none runs, too.
"""

from __future__ import annotations

import logging
from typing import Literal

from controller.contact.addresses import CaseAddresses, ForCase, ForLetter
from controller.contact.inbound.judging import Hostile, NotOurs, open_letter
from controller.contact.inbound.letter import READ_BYTES
from controller.storage import mails
from controller.storage.database import Database

_log = logging.getLogger(__name__)

Taking = Literal["taken", "duplicate", "not-ours", "hostile", "too-many"]
"""hostile: forged, or made to do harm. too-many: of this case, and no more is kept."""


async def take(database: Database, addresses: CaseAddresses, raw: bytes, now: float) -> Taking:
    """Keep one mail to be judged. It is durable when this returns; raises what the store raises."""
    opened = open_letter(raw, addresses)
    match opened:
        case NotOurs():
            return "not-ours"
        case Hostile():
            _log.warning("a mail was refused: %s", opened.why)
            return "hostile"
    about = opened.about
    try:
        async with database.write() as connection:
            new = await mails.take(
                connection,
                id=opened.fingerprint,
                case_id=about.id if isinstance(about, ForCase) else None,
                letter=about.id if isinstance(about, ForLetter) else None,
                received_at=now,
                raw=raw[:READ_BYTES],
            )
    except mails.UnknownReference as error:
        _log.warning("a mail with a good address is about nothing that is known: %s", error)
        return "not-ours"
    except mails.TooMany as error:
        _log.warning("a mail was refused: %s", error)
        return "too-many"
    return "taken" if new else "duplicate"
