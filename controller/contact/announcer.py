"""Tells tenants what is about no case: policies that change, agreements that end.

What is to be told is queued once for each tenant, and then sent as a notice is: to the contacts in
their order, by the first channel that accepts, again and again for `retry_for`. A tenant of whom no
contact is listed is told of no policy; an agreement's end that reaches nobody stands as failed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import assert_never

import msgspec

from controller.cases.announcing import (
    Announcement,
    PolicyChangeDocument,
    agreement_news,
    decode_document,
    encode_document,
    policy_changes,
)
from controller.cases.desk import Desk
from controller.cases.model import AnnouncementKind
from controller.cases.policybook import PolicyBook
from controller.contact.announcements import (
    PolicyChange,
    render_agreement_end,
    render_policy_change,
)
from controller.contact.attempts import GiveUp, RetryAt, after_refusals
from controller.contact.delivery import Accepted
from controller.contact.directory import ContactDirectory
from controller.contact.notice import RenderedNotice
from controller.contact.postman import Errand, Postman
from controller.contact.readers import readers_of
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


@dataclass(frozen=True)
class PutOff:
    """Nothing is to be sent before `until`, when a quiet time is over."""

    until: float


class Announcer:
    """Queues what is to be told, and sends what is due."""

    def __init__(
        self,
        database: Database,
        desk: Desk,
        policies: PolicyBook,
        directory: ContactDirectory,
        postman: Postman,
        settings: Contact,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._desk = desk
        self._policies = policies
        self._directory = directory
        self._postman = postman
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

    async def announce(self, now: float) -> None:
        """Queue what is to be told and was not yet. In mode "observe" nobody is told anything."""
        if self._desk.modes.most == "observe":
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
                        id=f"a{secrets.token_hex(8)}",
                        key=each.key,
                        queued_at=now,
                        document=encode_document(each.document),
                    )
        for each in new:
            _log.info("%s is told: %s, %s", each.tenant, each.kind, each.about)

    async def send_due(self, now: float) -> None:
        """Try once what is due, whatever becomes of the others."""
        if self._desk.modes.most == "observe":
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

    async def _try_contacts(
        self, row: AnnouncementRow, now: float
    ) -> Accepted | PutOff | RetryAt | GiveUp:
        """One round. No announcement is so urgent that it could not wait for a quiet time's end."""
        if row.id in self._unrecorded:
            return self._unrecorded[row.id][0]
        readers = await readers_of(self._directory, row.tenant)
        if readers.away is not None:
            return after_refusals((readers.away,), row, self._settings, now)
        if readers.nobody_because:
            return GiveUp(readers.nobody_because)
        people = readers.people
        until = people[0].quiet_times().over_at(now)
        if until > now:
            return PutOff(until)
        errand = Errand(
            id=row.id,
            sending_since=row.sending_since,
            write=lambda contact: self._render(row, contact),
            not_before=lambda quiet: quiet.over_at(now),
        )
        tried = await self._postman.carry(errand, people, now)
        if tried.accepted is not None:
            self._unrecorded[row.id] = tried.accepted, self._clock()
            return tried.accepted
        return after_refusals(tried.refusals, row, self._settings, now)

    def _render(self, row: AnnouncementRow, contact: TenantContact) -> RenderedNotice:
        kind = msgspec.convert(row.kind, AnnouncementKind)
        document = decode_document(kind, row.document)
        if isinstance(document, PolicyChangeDocument):
            change = PolicyChange(row.tenant, document.before, document.after)
            return render_policy_change(row.id, row.queued_at, change, contact, self._postman.terms)
        agreement = document.agreement
        policy = self._policies.policy_for(row.tenant, agreement.host)
        return render_agreement_end(
            row.id, row.queued_at, agreement, policy, contact, self._postman.terms
        )

    async def _record(
        self, row: AnnouncementRow, outcome: Accepted | PutOff | RetryAt | GiveUp, now: float
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
                case PutOff():
                    await announcements.put_off(connection, row.id, now=now, until=outcome.until)
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
        log = _log.info if isinstance(outcome, Accepted | PutOff) else _log.warning
        log("announcement %s to %s %s", row.id, row.tenant, _in_words(outcome))


def _in_words(outcome: Accepted | PutOff | RetryAt | GiveUp) -> str:
    """What became of a try, for the log."""
    match outcome:
        case Accepted():
            return f"accepted by {outcome.channel}: {outcome.answer}"
        case PutOff():
            return f"waits until {_utc(outcome.until)}, when the contact's quiet time is over"
        case RetryAt():
            return f"not accepted, tried again at {_utc(outcome.at)}: {outcome.reason}"
        case GiveUp():
            return f"given up: {outcome.reason}"


def _utc(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
