"""Tells tenants what is about no case: policies that change, agreements that end.

What is to be told is queued once for each tenant, and then sent as a notice is: to the contacts in
their order, by the first channel that accepts, again and again for `retry_for`. A tenant of whom no
contact is listed is told of no policy; an agreement's end that reaches nobody stands as failed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

import msgspec

from controller.cases.announcing import (
    Announcement,
    AnnouncementKind,
    PolicyChangeDocument,
    agreement_news,
    decode_document,
    encode_document,
    policy_changes,
)
from controller.cases.desk import Desk
from controller.cases.policybook import PolicyBook
from controller.contact.announcements import (
    PolicyChange,
    render_agreement_end,
    render_policy_change,
)
from controller.contact.attempts import GiveUp, RetryAt, after_refusals
from controller.contact.delivery import Accepted, Channel, Outcome, Refused
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import channels, notice_terms
from controller.contact.links import CustomerLinks
from controller.contact.notice import NoticeTerms, RenderedNotice
from controller.settings import Contact
from controller.storage import announcements
from controller.storage.announcements import AnnouncementRow
from controller.storage.database import Database
from controller.tenants import TenantContact

_log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 30.0
_AT_A_TIME = 50
_AT_ONCE = 4
"""Notices about cases go first: these share the channels with them."""
_QUEUED_AT_A_TIME = 200
"""In one transaction, for which the reports that come in meanwhile wait."""


class Announcer:
    """Queues what is to be told, and sends what is due."""

    def __init__(
        self,
        database: Database,
        desk: Desk,
        policies: PolicyBook,
        directory: ContactDirectory,
        channels: Sequence[Channel],
        terms: NoticeTerms,
        settings: Contact,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._desk = desk
        self._policies = policies
        self._directory = directory
        self._channels = {channel.name: channel for channel in channels}
        self._terms = terms
        self._settings = settings
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._unrecorded: dict[str, tuple[Accepted, float]] = {}
        """Accepted, but the store did not take the record yet: not to be sent a second time."""

    async def run(self) -> None:
        """Do it for ever. A pass that fails is logged, and tried again."""
        while True:
            try:
                await self.announce(self._clock())
                await self.send_due(self._clock())
            except Exception:  # noqa: BLE001 - the store may be away; what is due waits in it
                _log.exception("announcements could not be worked through; trying again soon")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def close(self) -> None:
        """Let the channels go."""
        for channel in self._channels.values():
            await channel.close()

    async def announce(self, now: float) -> None:
        """Queue what is to be told and was not yet. In mode "observe" nobody is told anything."""
        if self._desk.mode == "observe":
            return
        news = {each.key: each for each in self._news(now)}
        if not news:
            return
        async with self._database.read() as connection:
            known = await announcements.known(connection)
        new = [each for key, each in news.items() if key not in known]
        for start in range(0, len(new), _QUEUED_AT_A_TIME):
            async with self._database.write() as connection:
                for each in new[start : start + _QUEUED_AT_A_TIME]:
                    await announcements.queue(
                        connection,
                        id=f"{each.kind}-{secrets.token_hex(8)}",
                        key=each.key,
                        queued_at=now,
                        document=encode_document(each.document),
                    )
        for each in new:
            _log.info("%s is told: %s, %s", each.tenant, each.kind, each.about)

    async def send_due(self, now: float) -> None:
        """Try once what is due, whatever becomes of the others."""
        if self._desk.mode == "observe":
            return
        async with self._database.read() as connection:
            rows = await announcements.due(connection, now, _AT_A_TIME)
        await asyncio.gather(*(self._settle(row, now) for row in rows))

    def _news(self, now: float) -> Iterator[Announcement]:
        hosts = self._hosts_of_tenants()
        for tenant in {*self._directory.names(), *hosts}:
            listed = self._directory.tenant(tenant)
            if listed is not None and listed.contacts:
                for host in hosts.get(tenant, {""}):
                    yield from policy_changes(tenant, self._policies.coming_for(tenant, host))
        yield from agreement_news(
            self._desk.agreements.every(),
            ahead_seconds=self._settings.agreement_ends_notice,
            now=now,
        )

    def _hosts_of_tenants(self) -> dict[str, set[str]]:
        hosts: defaultdict[str, set[str]] = defaultdict(set)
        for view in self._desk.hosts():
            for place in view.tenants:
                hosts[place.tenant].add(view.host)
        return hosts

    async def _settle(self, row: AnnouncementRow, now: float) -> None:
        """What fails stays due, and holds up no other."""
        try:
            async with self._slots:
                outcome = await self._try_contacts(row, now)
            await self._record(row, outcome, now)
        except Exception:  # noqa: BLE001 - as the docstring says
            _log.exception("announcement %s could not be settled", row.id)

    async def _try_contacts(self, row: AnnouncementRow, now: float) -> Accepted | RetryAt | GiveUp:
        """The contacts' channels in their order; the first that accepts wins."""
        if row.id in self._unrecorded:
            return self._unrecorded[row.id][0]
        listed = self._directory.tenant(row.tenant)
        people = listed.people() if listed else ()
        ways = [(each, name) for each in people for name in each.channels]
        if not ways:
            return GiveUp(f'tenants_file lists no way to reach "{row.tenant}"')
        refusals = []
        for contact, name in ways:
            outcome = await self._try_channel(name, row, contact, now)
            if isinstance(outcome, Accepted):
                self._unrecorded[row.id] = outcome, self._clock()
                return outcome
            refusals.append(outcome)
        return after_refusals(
            refusals,
            tries=row.tries + 1,
            queued_at=row.queued_at,
            now=now,
            retry_for=self._settings.retry_for,
        )

    async def _try_channel(
        self, name: str, row: AnnouncementRow, contact: TenantContact, now: float
    ) -> Outcome:
        """A fault of our own is a refusal too: it ends in an announcement that has failed."""
        try:
            letter = await asyncio.to_thread(self._render, row, contact)
            return await self._channels[name].send(letter, contact, now)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            _log.exception("announcement %s could not be sent by %s", row.id, name)
            return Refused(name, f"the controller failed: {error!r}", for_good=False)

    def _render(self, row: AnnouncementRow, contact: TenantContact) -> RenderedNotice:
        kind = msgspec.convert(row.kind, AnnouncementKind)
        document = decode_document(kind, row.document)
        if isinstance(document, PolicyChangeDocument):
            change = PolicyChange(row.tenant, document.before, document.after)
            return render_policy_change(row.id, row.queued_at, change, contact, self._terms)
        agreement = document.agreement
        policy = self._policies.policy_for(row.tenant, agreement.host)
        return render_agreement_end(row.id, row.queued_at, agreement, policy, contact, self._terms)

    async def _record(
        self, row: AnnouncementRow, outcome: Accepted | RetryAt | GiveUp, now: float
    ) -> None:
        async with self._database.write() as connection:
            match outcome:
                case Accepted():
                    await announcements.settle(
                        connection,
                        row.id,
                        accepted_at=self._unrecorded[row.id][1],
                        channel=outcome.channel,
                        answer=outcome.answer,
                    )
                case RetryAt():
                    await announcements.settle(
                        connection, row.id, next_try_at=outcome.at, answer=outcome.reason
                    )
                case GiveUp():
                    await announcements.settle(
                        connection, row.id, failed_at=now, answer=outcome.reason
                    )
                case _:
                    assert_never(outcome)
        self._unrecorded.pop(row.id, None)
        log = _log.info if isinstance(outcome, Accepted) else _log.warning
        log("announcement %s to %s: %s", row.id, row.tenant, outcome)


def build_announcer(
    settings: Contact,
    policies: PolicyBook,
    database: Database,
    desk: Desk,
    links: CustomerLinks,
    directory: ContactDirectory,
    clock: Callable[[], float],
) -> Announcer:
    """The announcer as configured."""
    return Announcer(
        database,
        desk,
        policies,
        directory,
        channels(settings),
        notice_terms(settings, policies, links),
        settings,
        clock=clock,
    )
