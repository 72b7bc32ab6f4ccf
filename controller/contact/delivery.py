"""What a channel is, and the three ways that trying one can end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controller.contact.notice import RenderedNotice
from controller.tenants import TenantContact


@dataclass(frozen=True)
class Accepted:
    """The customer's channel took responsibility for the notice. `answer` is in its own words."""

    channel: str
    answer: str
    sent_to: tuple[str, ...] = ()
    """The mail addresses that it was accepted for."""


@dataclass(frozen=True)
class Refused:
    """The notice was not accepted, or it is not known whether it was.

    `for_good`: trying again as things are cannot help.
    """

    channel: str
    reason: str
    for_good: bool
    again_after_seconds: float = 0.0
    """What the other side asked for, if it did."""


Outcome = Accepted | Refused


class Channel(Protocol):
    """One way to reach a customer."""

    @property
    def name(self) -> str:
        """As in `channels` of tenants.toml."""

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        """Try once. Faults of the other side are outcomes, never exceptions."""

    async def close(self) -> None:
        """Let go of connections."""


def one_line(text: str, limit: int = 300) -> str:
    """Another program's words made safe for a log, a header or a page: one line, bounded."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:limit]
