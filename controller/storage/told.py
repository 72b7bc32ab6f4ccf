"""Rows that are shown as they are stored: the command line reads them, and has no database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TryOutcome = Literal["accepted", "deferred", "refused", "bounced"]
"""deferred: not this time. refused: never. bounced: accepted first, and then sent back."""


@dataclass(frozen=True)
class DeliveryTry:
    """One channel of one contact, tried once with one letter."""

    letter: str
    at: float
    contact: str
    """The contact's role."""
    channel: str
    outcome: TryOutcome
    answer: str
    """In the channel's own words."""


@dataclass(frozen=True)
class ReturnedMail:
    """A mail that came back. `outcome` is what it was found to be: "reply", "auto-reply",
    "bounce", "delay", "passed-on" or "refused"."""

    id: str
    received_at: float
    outcome: str
    sender: str
    subject: str
    text: str
