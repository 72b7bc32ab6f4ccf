"""Sends what is in the outbox, and records what became of it.

A notice counts as delivered only when a channel accepted it (promise 1). Which notices make one
letter is stored before its first try, and a letter's id comes from that alone: when a crash between
acceptance and record leaves in doubt whether it was sent, it goes out again as the same message
(promise 5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from controller.cases.desk import Desk
from controller.cases.limiting import DAY_SECONDS
from controller.cases.model import Case
from controller.cases.policybook import PolicyBook
from controller.contact import recording
from controller.contact.addresses import CaseAddresses
from controller.contact.attempts import GiveUp, RetryAt, after_refusals, overtaken
from controller.contact.command import CommandChannel
from controller.contact.directory import ContactDirectory
from controller.contact.grouping import Send, Wait, Withhold, decide
from controller.contact.letters import Letter, due_letters, queued
from controller.contact.links import CustomerLinks
from controller.contact.mail import MailChannel
from controller.contact.notice import NoticeTerms, Queued
from controller.contact.postman import Postman, Tried
from controller.contact.readers import Readers, readers_of
from controller.contact.routing import without_addresses
from controller.contact.templating import LetterTemplates
from controller.contact.timing import letter_not_before
from controller.contact.webhook import WebhookChannel
from controller.settings import Contact
from controller.storage import notices
from controller.storage.database import Database
from controller.storage.notices import NoticeRow
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)

_AT_A_TIME = 50
"""Tenants in one pass."""
_AT_ONCE = 8
"""Tenants served together: a slow endpoint holds up few others."""
_HELD_BACK_SECONDS = 60.0
"""When to look again whether a host that was set back to "observe" may be written about."""
_LOOK_EVERY_SECONDS = 5.0
"""How long a notice whose retry is due may wait when nothing wakes the loop."""


class Dispatcher:
    """The outbox's sender. One pass at a time; `wake` asks for one soon."""

    def __init__(
        self,
        database: Database,
        desk: Desk,
        postman: Postman,
        directory: ContactDirectory,
        settings: Contact,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._desk = desk
        self.postman = postman
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._unrecorded: dict[str, tuple[Tried, float]] = {}
        """Accepted, but the store did not take the record yet: not to be sent a second time."""

    async def run(self) -> None:
        """Send what is due, for ever. A pass that fails is logged, and tried again."""
        while True:
            self._woken.clear()
            try:
                await self.send_due(self._clock())
            except Exception:  # noqa: BLE001 - the store may be away; the notices wait in it
                _log.exception("the outbox could not be worked through; trying again soon")
            try:
                await asyncio.wait_for(self._woken.wait(), _LOOK_EVERY_SECONDS)
            except TimeoutError:
                continue

    def wake(self) -> None:
        """Something was queued."""
        self._woken.set()

    async def close(self) -> None:
        """Let the channels go."""
        await self.postman.close()

    async def send_due(self, now: float) -> None:
        """One pass: everything that is due is tried once, whatever becomes of the others."""
        if self._desk.modes.most == "observe":
            return
        async with self._passing:
            async with self._database.read() as connection:
                tenants = await notices.due_tenants(connection, now, _AT_A_TIME)
            await asyncio.gather(*(self._serve(tenant, now) for tenant in tenants))

    async def _serve(self, tenant: str, now: float) -> None:
        """What is due about one tenant, in its order. What fails stays due."""
        async with self._slots:
            try:
                readers = await readers_of(self._directory, tenant)
                await self._decide_letters(tenant, readers, now)
                letters = due_letters(await self._waiting(tenant), now)
            except Exception:  # noqa: BLE001 - as the docstring says
                _log.exception('the notices about "%s" could not be read', tenant)
                return
            for letter in letters:
                try:
                    await self._send(letter, readers, now)
                except Exception:  # noqa: BLE001 - as the docstring says
                    _log.exception("letter %s could not be settled", letter.id)

    async def _waiting(self, tenant: str) -> list[NoticeRow]:
        async with self._database.read() as connection:
            return await notices.waiting(connection, tenant)

    async def _decide_letters(self, tenant: str, readers: Readers, now: float) -> None:
        """Put into letters, durably, what is to be sent; let the rest wait or go."""
        rows = {row.id: row for row in await self._waiting(tenant) if row.letter is None}
        if not rows:
            return
        undecided = await self._still_true([queued(row) for row in rows.values()], now)
        if readers.nobody_because:
            for notice in undecided:
                await recording.failed(self._desk, (notice,), readers.nobody_because, now, ())
            return
        async with self._database.read() as connection:
            sent = await notices.sent_since(connection, tenant, now - DAY_SECONDS)
        quiet = (readers.people or (TenantContact(),))[0].quiet_times()
        for decision in decide(undecided, sent, quiet, self._settings, self._policy_name, now):
            match decision:
                case Send():
                    ids = [notice.id for notice in decision.notices]
                    async with self._database.write() as connection:
                        await notices.decide_letter(connection, ids, ids[0], now)
                case Withhold():
                    await recording.withheld(self._desk, decision.notice, decision.reason, now)
                case Wait():
                    # What waits for this time already says so.
                    new = [n for n in decision.notices if rows[n.id].next_try_at != decision.until]
                    if new:
                        await self._wait(replace(decision, notices=tuple(new)), now)

    def _policy_name(self, case: Case) -> str:
        return self._desk.policy_of(case).name

    async def _wait(self, decision: Wait, now: float) -> None:
        if decision.for_quiet:
            await recording.put_off(self._desk, decision.notices, now, decision.until)
            return
        ids = [notice.id for notice in decision.notices]
        async with self._database.write() as connection:
            await notices.put_off(connection, ids, now=now, until=decision.until)

    async def _still_true(self, about: Sequence[Queued], now: float) -> list[Queued]:
        """Those that have something true to say; the others are not sent any more, or wait while
        their host is at "observe"."""
        left = []
        for notice in about:
            case = await self._desk.case(notice.document.case.id)
            reason = overtaken(notice, case, now) if case is not None else ""
            if reason:
                await recording.withheld(self._desk, notice, reason, now)
            elif self._desk.modes.on(notice.document.case.host) == "observe":
                async with self._database.write() as connection:
                    until = now + _HELD_BACK_SECONDS
                    await notices.put_off(connection, [notice.id], now=now, until=until)
            else:
                left.append(notice)
        return left

    async def _send(self, letter: Letter, readers: Readers, now: float) -> None:
        if letter.id in self._unrecorded:
            await self._record(letter)
            return
        letter = replace(letter, notices=tuple(await self._still_true(letter.notices, now)))
        if not letter.notices:
            return
        if readers.away is not None:
            await self._not_accepted(letter, Tried(refusals=(readers.away,)), now)
            return
        people = await self._reachable(letter, readers)
        if not people:
            reason = readers.nobody_because or _came_back(letter)
            await self._give_up(letter, Tried(), reason, now)
            return
        until = letter_not_before(letter.notices, people[0].quiet_times(), now)
        if until > now:
            await recording.put_off(self._desk, letter.notices, now, until)
            return
        tried = await self.postman.try_once(letter, await self._thread(letter), people, now)
        if tried.accepted is not None:
            self._unrecorded[letter.id] = tried, self._clock()
            await self._record(letter)
            return
        await self._not_accepted(letter, tried, now)

    async def _reachable(self, letter: Letter, readers: Readers) -> Sequence[TenantContact]:
        """Whom to try: not those from whom something about the case came back, if others are left;
        whoever got the first notice hears how it goes on."""
        left = without_addresses(readers.people, letter.bounced)
        async with self._database.read() as connection:
            bounced = await notices.bounced_of(connection, letter.case_ids)
        return without_addresses(left, bounced) or left

    async def _not_accepted(self, letter: Letter, tried: Tried, now: float) -> None:
        match after_refusals(tried.refusals, letter, self._settings, now):
            case RetryAt() as retry:
                await self._retry(letter, tried, retry, now)
            case GiveUp() as given_up:
                await self._give_up(letter, tried, given_up.reason, now)

    async def _thread(self, letter: Letter) -> str:
        """The letter that began the conversation, which may have been about other cases too."""
        first = letter.notices[0]
        if first.kind == "first-notice":
            return letter.id
        async with self._database.read() as connection:
            return await notices.letter_of(connection, first.document.case.notice)

    async def _record(self, letter: Letter) -> None:
        """Kept in memory until the store has it; the clock starts at the real acceptance."""
        tried, at = self._unrecorded[letter.id]
        said = tried.accepted
        if said is not None:
            await recording.accepted(self._desk, letter.notices, said, at, tried.tries)
            _log.info("letter %s accepted by %s: %s", letter.id, said.channel, said.answer)
        del self._unrecorded[letter.id]

    async def _retry(self, letter: Letter, tried: Tried, retry: RetryAt, now: float) -> None:
        _log.warning("letter %s: %s; trying again", letter.id, retry.reason)
        await recording.deferred(
            self._desk, letter, retry.reason, now=now, until=retry.at, tried=tried.tries
        )

    async def _give_up(self, letter: Letter, tried: Tried, reason: str, now: float) -> None:
        _log.error("letter %s was given up: %s", letter.id, reason)
        await recording.failed(self._desk, letter.notices, reason, now, tried.tries)


def _came_back(letter: Letter) -> str:
    came_back_from = ", ".join(sorted(letter.bounced))
    return f"it came back from {came_back_from}, and no other way is listed"


def build_dispatcher(
    settings: Contact,
    policies: PolicyBook,
    database: Database,
    desk: Desk,
    links: CustomerLinks,
    directory: ContactDirectory,
    clock: Callable[[], float],
    templates: LetterTemplates,
    addresses: CaseAddresses | None = None,
) -> Dispatcher:
    """The dispatcher as configured, woken by the desk whenever it queues a notice."""
    postman = Postman(
        (
            MailChannel(settings.smtp, addresses=addresses),
            WebhookChannel(),
            CommandChannel(settings.command),
        ),
        NoticeTerms(
            provider_name=settings.provider_name,
            policy_for=lambda case: policies.policy_for(case.tenant, case.host),
            link_for=lambda case_id, at, language: links.url_for(
                case_id, at + settings.link_valid, language
            ),
            takes_replies=addresses is not None,
            templates=templates,
        ),
        next_contact_after=settings.next_contact_after,
    )
    dispatcher = Dispatcher(database, desk, postman, directory, settings, clock=clock)
    desk.when_outbox_changes(dispatcher.wake)
    return dispatcher
