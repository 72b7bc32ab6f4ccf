"""Sends what is in the outbox, and records what became of it.

A notice counts as delivered only when a channel accepted it (promise 1). Its ids come from the
notice alone: when a crash between acceptance and record leaves in doubt whether it was sent, it
goes out again as the same message (promise 5).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec

from controller.cases.desk import Desk
from controller.cases.model import NoticeDocument, NoticeKind
from controller.cases.policybook import PolicyBook
from controller.contact.attempts import GiveUp, RetryAt, after_refusals, overtaken
from controller.contact.delivery import Accepted, Channel, Outcome, Refused
from controller.contact.directory import ContactDirectory
from controller.contact.links import CustomerLinks
from controller.contact.mail import MailChannel
from controller.contact.notice import NoticeTerms, render
from controller.contact.webhook import WebhookChannel
from controller.settings import Contact
from controller.storage import notices
from controller.storage.database import Database
from controller.storage.notices import NoticeRow
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)

_AT_A_TIME = 50
_AT_ONCE = 8
"""Notices under way together: a slow endpoint holds up few others."""
_LOOK_EVERY_SECONDS = 5.0
_HELD_BACK_SECONDS = 60.0
"""When to look again whether a host that was set back to "observe" may be written about."""
"""How long a notice whose retry is due may wait when nothing wakes the loop."""

_document_decoder = msgspec.json.Decoder(NoticeDocument)


class Dispatcher:
    """The outbox's sender. One pass at a time; `wake` asks for one soon."""

    def __init__(
        self,
        database: Database,
        desk: Desk,
        channels: Sequence[Channel],
        directory: ContactDirectory,
        terms: NoticeTerms,
        *,
        retry_for: float,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._desk = desk
        self._channels = {channel.name: channel for channel in channels}
        self._directory = directory
        self._terms = terms
        self._retry_for = retry_for
        self._clock = clock
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._unrecorded: dict[str, tuple[Accepted, float]] = {}
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
        for channel in self._channels.values():
            await channel.close()

    async def send_due(self, now: float) -> None:
        """One pass: every notice that is due is tried once, whatever becomes of the others."""
        if self._desk.modes.most == "observe":
            return
        async with self._passing:
            async with self._database.read() as connection:
                rows = await notices.due(connection, now, _AT_A_TIME)
            by_case: defaultdict[str, list[NoticeRow]] = defaultdict(list)
            for row in sorted(rows, key=lambda row: row.queued_at):
                by_case[row.case_id].append(row)
            await asyncio.gather(*(self._settle(each, now) for each in by_case.values()))

    async def _settle(self, rows: Sequence[NoticeRow], now: float) -> None:
        """One case's notices in their order. What fails stays due, and holds up no other."""
        for row in rows:
            try:
                await self._send(row, now)
            except Exception:  # noqa: BLE001 - as the docstring says
                _log.exception("notice %s could not be settled", row.id)

    async def _send(self, row: NoticeRow, now: float) -> None:
        async with self._slots:
            outcome = await self._try_channels(row, now)
        match outcome:
            case Accepted():
                await self._record(row, outcome)
            case RetryAt():
                _log.warning("notice %s: %s; trying again", row.id, outcome.reason)
                async with self._database.write() as connection:
                    await notices.mark_retry(
                        connection, row.id, next_try_at=outcome.at, answer=outcome.reason
                    )
            case GiveUp():
                _log.error("notice %s was given up: %s", row.id, outcome.reason)
                await self._desk.notice_failed(row.id, row.case_id, outcome.reason)

    async def _try_channels(self, row: NoticeRow, now: float) -> Accepted | RetryAt | GiveUp:
        """The contacts' channels in their order; the first that accepts wins."""
        if row.id in self._unrecorded:
            return self._unrecorded[row.id][0]
        document = _document_decoder.decode(row.document)
        kind = msgspec.convert(row.kind, NoticeKind)
        case = await self._desk.case(row.case_id)
        if case is not None and (reason := overtaken(kind, document, case)):
            return GiveUp(reason)
        if self._desk.modes.on(document.case.host) == "observe":
            return RetryAt(now + _HELD_BACK_SECONDS, 'the ring of its host is at "observe"')
        tenant = self._directory.tenant(document.case.tenant)
        people = tenant.people() if tenant else ()
        ways = [(each, name) for each in people for name in each.channels]
        if not ways:
            return GiveUp(f'tenants_file lists no way to reach "{document.case.tenant}"')
        refusals = []
        for contact, name in ways:
            outcome = await self._try_channel(name, row, document, contact, now)
            if isinstance(outcome, Accepted):
                self._unrecorded[row.id] = outcome, self._clock()
                return outcome
            refusals.append(outcome)
        return after_refusals(
            refusals,
            tries=row.tries + 1,
            queued_at=row.queued_at,
            now=now,
            retry_for=self._retry_for,
        )

    async def _try_channel(
        self,
        name: str,
        row: NoticeRow,
        document: NoticeDocument,
        contact: TenantContact,
        now: float,
    ) -> Outcome:
        """A fault of our own is a refusal too: it ends in a case on hold, not in silence."""
        try:
            kind = msgspec.convert(row.kind, NoticeKind)
            # Drawing takes a tenth of a second, which the reports coming in should not wait for.
            notice = await asyncio.to_thread(
                render, row.id, kind, row.queued_at, document, contact, self._terms
            )
            return await self._channels[name].send(notice, contact, now)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            _log.exception("notice %s could not be sent by %s", row.id, name)
            return Refused(name, f"the controller failed: {error!r}", for_good=False)

    async def _record(self, row: NoticeRow, accepted: Accepted) -> None:
        """Kept in memory until the store has it; the clock starts at the real acceptance."""
        at = self._unrecorded[row.id][1]
        await self._desk.notice_accepted(row.id, row.case_id, at, accepted.channel, accepted.answer)
        del self._unrecorded[row.id]
        _log.info("notice %s accepted by %s: %s", row.id, accepted.channel, accepted.answer)


def build_dispatcher(
    settings: Contact,
    policies: PolicyBook,
    database: Database,
    desk: Desk,
    links: CustomerLinks,
    directory: ContactDirectory,
    clock: Callable[[], float],
) -> Dispatcher:
    """The dispatcher as configured, woken by the desk whenever it queues a notice."""
    dispatcher = Dispatcher(
        database,
        desk,
        (MailChannel(settings.smtp), WebhookChannel()),
        directory,
        NoticeTerms(
            provider_name=settings.provider_name,
            policy_for=lambda case: policies.policy_for(case.tenant, case.host),
            link_for=lambda case_id, at: links.url_for(case_id, at + settings.link_valid),
        ),
        retry_for=settings.retry_for,
        clock=clock,
    )
    desk.when_notice_queued(dispatcher.wake)
    return dispatcher
