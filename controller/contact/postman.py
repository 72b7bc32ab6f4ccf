"""Takes one letter to its contacts once: each by each, channel by channel, until one accepts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from controller.contact.delivery import Accepted, Channel, Outcome, Refused
from controller.contact.letters import Letter
from controller.contact.notice import NoticeTerms, RenderedNotice, render
from controller.contact.routing import passes_on
from controller.contact.timing import letter_not_before
from controller.quiet import QuietTimes
from controller.storage.told import DeliveryTry, TryOutcome
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """What came of one round: who accepted, or why nobody did."""

    accepted: Accepted | None = None
    refusals: tuple[Refused, ...] = ()
    tries: tuple[DeliveryTry, ...] = ()


@dataclass(frozen=True)
class Errand:
    """One message to be taken to one of several contacts."""

    id: str
    sending_since: float
    """In seconds since the epoch, as `now` is."""
    write: Callable[[TenantContact], RenderedNotice]
    """The message in a contact's own language."""
    not_before: Callable[[QuietTimes], float]
    """When it may go out to somebody with these quiet times."""


class Postman:
    """Every channel that this controller has, and what all of its letters have in common."""

    def __init__(
        self, channels: Sequence[Channel], terms: NoticeTerms, *, next_contact_after: float
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self.terms = terms
        self._next_contact_after = next_contact_after

    async def close(self) -> None:
        """Let the channels go."""
        for channel in self._channels.values():
            await channel.close()

    async def try_once(
        self, letter: Letter, thread: str, people: Sequence[TenantContact], now: float
    ) -> Tried:
        """One round with a letter. `thread` is the letter that began the conversation."""

        def write(contact: TenantContact) -> RenderedNotice:
            rendered = render(letter.notices, contact, self.terms, written_at=now)
            return replace(rendered, id=letter.id, first_notice_id=thread)

        errand = Errand(
            id=letter.id,
            sending_since=letter.sending_since,
            write=write,
            not_before=lambda quiet: letter_not_before(letter.notices, quiet, now),
        )
        return await self.carry(errand, people, now)

    async def carry(self, errand: Errand, people: Sequence[TenantContact], now: float) -> Tried:
        """One round, as routing.py has it."""
        refusals: list[Refused] = []
        tries: list[DeliveryTry] = []
        for number, contact in enumerate(people):
            if number and errand.not_before(contact.quiet_times()) > now:
                quiet = f"the {contact.role} contact has a quiet time"
                refusals.append(Refused("later", quiet, for_good=False))
                continue
            own = []
            for name in contact.channels:
                outcome = await self._try_channel(name, errand, contact, now)
                tries.append(_kept(errand, contact, outcome, now))
                if isinstance(outcome, Accepted):
                    return Tried(outcome, tuple(refusals), tuple(tries))
                own.append(outcome)
            refusals += own
            if not passes_on(
                own,
                waited_seconds=now - errand.sending_since,
                next_contact_after=self._next_contact_after,
            ):
                break
        return Tried(None, tuple(refusals), tuple(tries))

    async def _try_channel(
        self, name: str, errand: Errand, contact: TenantContact, now: float
    ) -> Outcome:
        """A fault of our own is a refusal too: it ends with a person, not in silence."""
        try:
            # Drawing takes a tenth of a second, which the reports coming in should not wait for.
            message = await asyncio.to_thread(errand.write, contact)
            return await self._channels[name].send(message, contact, now)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            _log.exception("letter %s could not be sent by %s", errand.id, name)
            return Refused(name, f"the controller failed: {error!r}", for_good=False)


def _kept(errand: Errand, contact: TenantContact, outcome: Outcome, now: float) -> DeliveryTry:
    became: TryOutcome = "accepted"
    answer = outcome.answer if isinstance(outcome, Accepted) else outcome.reason
    if isinstance(outcome, Refused):
        became = "refused" if outcome.for_good else "deferred"
    return DeliveryTry(
        letter=errand.id,
        at=now,
        contact=contact.role,
        channel=outcome.channel,
        outcome=became,
        answer=answer,
    )
