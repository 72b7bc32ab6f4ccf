"""Takes one letter to its contacts once: each by each, channel by channel, until one accepts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.contact.delivery import Accepted, Channel, Outcome, Refused
from controller.contact.letters import Letter
from controller.contact.notice import NoticeTerms, render
from controller.contact.routing import passes_on
from controller.contact.timing import letter_not_before
from controller.storage.tries import DeliveryTry, TryOutcome
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """What came of one round: who accepted, or why nobody did."""

    accepted: Accepted | None = None
    refusals: tuple[Refused, ...] = ()
    tries: tuple[DeliveryTry, ...] = ()


class Postman:
    """Every channel that this controller has, and what all of its letters have in common."""

    def __init__(
        self, channels: Sequence[Channel], terms: NoticeTerms, *, next_contact_after: float
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self._terms = terms
        self._next_contact_after = next_contact_after

    async def close(self) -> None:
        """Let the channels go."""
        for channel in self._channels.values():
            await channel.close()

    async def try_once(
        self, letter: Letter, thread: str, people: Sequence[TenantContact], now: float
    ) -> Tried:
        """One round, as routing.py has it. `thread` is the letter that began the conversation."""
        refusals: list[Refused] = []
        tries: list[DeliveryTry] = []
        for number, contact in enumerate(people):
            if number and letter_not_before(letter.notices, contact.quiet_times(), now) > now:
                quiet = f"the {contact.role} contact has a quiet time"
                refusals.append(Refused("later", quiet, for_good=False))
                continue
            own = []
            for name in contact.channels:
                outcome = await self._try_channel(name, letter, thread, contact, now)
                tries.append(_kept(letter, contact, outcome, now))
                if isinstance(outcome, Accepted):
                    return Tried(outcome, tuple(refusals), tuple(tries))
                own.append(outcome)
            refusals += own
            if not passes_on(
                own,
                waited_seconds=now - letter.sending_since,
                next_contact_after=self._next_contact_after,
            ):
                break
        return Tried(None, tuple(refusals), tuple(tries))

    async def _try_channel(
        self, name: str, letter: Letter, thread: str, contact: TenantContact, now: float
    ) -> Outcome:
        """A fault of our own is a refusal too: it ends in a case on hold, not in silence."""
        try:
            # Drawing takes a tenth of a second, which the reports coming in should not wait for.
            rendered = await asyncio.to_thread(render, letter.notices, contact, self._terms)
            notice = replace(rendered, id=letter.id, first_notice_id=thread)
            return await self._channels[name].send(notice, contact, now)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            _log.exception("letter %s could not be sent by %s", letter.id, name)
            return Refused(name, f"the controller failed: {error!r}", for_good=False)


def _kept(letter: Letter, contact: TenantContact, outcome: Outcome, now: float) -> DeliveryTry:
    became: TryOutcome = "accepted"
    answer = outcome.answer if isinstance(outcome, Accepted) else outcome.reason
    if isinstance(outcome, Refused):
        became = "refused" if outcome.for_good else "deferred"
    return DeliveryTry(
        letter=letter.id,
        at=now,
        contact=contact.role,
        channel=outcome.channel,
        outcome=became,
        answer=answer,
    )
