"""The desk carries out what the lifecycle decides: one transaction a step, then the caches.

Everything that can change a case comes through here and takes its turn: a report, the clock, the
outbox, the customer, an operator. What is not stored has not happened: the caches follow the
store, and a desk that starts again finds everything there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

import msgspec

from controller.cases import answers, lifecycle, limiting
from controller.cases.book import Book, StandingOrder
from controller.cases.hosts import Host, Hosts, Seen, see
from controller.cases.limiting import Circumstances
from controller.cases.model import (
    AnswerKind,
    Case,
    OrderDocument,
    QueueNotice,
    State,
    Step,
    TimelineEntry,
)
from controller.cases.record import StaleCase, read_case, write_step
from controller.cases.steps import CaseRefused
from controller.cases.views import HostView
from controller.fairshare.policy import Policy
from controller.settings import Mode
from controller.storage import cases, notices, orders, switches
from controller.storage.database import Database
from fairuse_protocol.limits import LimitOrder
from fairuse_protocol.messages import Resource
from fairuse_protocol.reports import Report

_log = logging.getLogger(__name__)
_PAUSED = "paused"


class UnknownCase(Exception):
    """There is no case with this id."""


def new_case_id() -> str:
    """Short enough to type, random enough not to be guessed or met twice."""
    return "c" + secrets.token_hex(5)


class Desk:
    """Runs all cases of this controller."""

    def __init__(
        self,
        database: Database,
        policy: Policy,
        mode: Mode,
        clock: Callable[[], float],
        new_id: Callable[[], str] = new_case_id,
    ) -> None:
        self._database = database
        self.policy = policy
        self.mode = mode
        self._clock = clock
        self._new_id = new_id
        self._turn = asyncio.Lock()
        self._book = Book()
        self._hosts = Hosts(database, policy.rule)
        self._awaiting_after: dict[str, Case] = {}
        self._paused = False
        self.notice_queued: Callable[[], None] = lambda: None
        """Called when there is something new in the outbox."""

    @property
    def paused(self) -> bool:
        """Whether an operator has stopped all enforcement."""
        return self._paused

    async def start(self) -> None:
        """Load what is open; end limits that the mode no longer allows."""
        now = self._clock()
        async with self._database.read() as connection:
            switch = await switches.get(connection, _PAUSED)
            documents = await cases.open_documents(connection)
            standing = await orders.standing(connection)
        self._paused = switch is not None and switch.value == "yes"
        for document in documents:
            case = read_case(document)
            # What was measured while nobody looked is not known, and no sign of subsiding.
            self._book.keep(msgspec.structs.replace(case, last_disproportionate_at=now))
        for row in standing:
            self._book.keep_order(_standing(row))
        if self.mode != "enforce":
            reason = f'The provider set the mode to "{self.mode}": nothing is limited by rule.'
            by_rule = {row.case_id for row in standing if row.ordered_by is None}
            async with self._turn:
                for case_id in by_rule if self.mode == "contact" else set(self._book.cases):
                    await self._suspend(self._book.cases[case_id], "configuration", reason)

    def see(self, report: Report) -> Seen:
        """What `observe` needs of a report; changes nothing."""
        return see(report, self.policy.rule)

    async def observe(self, seen: Seen) -> None:
        """Act on a report that is stored: open, move and close cases."""
        now = self._clock()
        host = await self._hosts.take(seen, now=now)
        report = host.report
        if not (host.window.suspects() or self._book.of_host(report.host) or self._awaiting_after):
            return
        async with self._turn:
            for case in self._book.of_host(report.host):
                await self._review(case, host, now)
            await self._open_cases(host, now)
            await self._measure_after(host, now)

    def limits_for(self, host: str, now: float) -> tuple[LimitOrder, ...]:
        """What this host should hold now."""
        return () if self._paused else self._book.orders_of(host, now)

    async def tick(self) -> None:
        """What the clock alone brings about: leases that have run out."""
        now = self._clock()
        async with self._turn:
            for case in [case for case in self._book.cases.values() if case.limit]:
                done = limiting.lease_over(case, now=now)
                if done is not None:
                    await self._commit(done, case)

    async def notice_accepted(
        self, notice_id: str, case_id: str, at: float, channel: str, answer: str
    ) -> None:
        """A channel took the notice: recorded with the case's step, in one transaction."""
        async with self._turn:
            case = await self._newest(case_id)
            done = lifecycle.notice_accepted(
                case, self.policy, at=at, channel=channel, answer=answer
            )
            async with self._database.write() as connection:
                if await notices.mark_accepted(
                    connection, notice_id, at=at, channel=channel, answer=answer
                ):
                    await write_step(connection, done, case, mode=self.mode, now=at)
                else:
                    return
            self._settle(done)

    async def notice_failed(self, notice_id: str, case_id: str, reason: str) -> None:
        """No channel will take the notice."""
        now = self._clock()
        async with self._turn:
            case = await self._newest(case_id)
            done = lifecycle.notice_failed(case, now=now, reason=reason)
            async with self._database.write() as connection:
                if await notices.mark_failed(connection, notice_id, at=now, answer=reason):
                    await write_step(connection, done, case, mode=self.mode, now=now)
                else:
                    return
            self._settle(done)

    async def answer(self, case_id: str, kind: AnswerKind, note: str) -> Case:
        """The customer answers. CaseRefused says why not, UnknownCase if there is none."""
        async with self._turn:
            case = await self._newest(case_id)
            done = answers.answer(case, kind, note, self.policy, now=self._clock())
            return await self._commit(done, case)

    async def approve(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator orders a limit by name (promise 1)."""
        now = self._clock()
        async with self._turn:
            case = await self._newest(case_id)
            host = self._hosts.get(case.host)
            if host is None:
                raise CaseRefused(f"{case.host} has not reported since the controller started")
            verdict = host.window.verdict(case.resource, case.tenant, now=now)
            done = limiting.order_by_name(
                case,
                verdict,
                host.measured,
                self.policy,
                self._circumstances(case.host),
                by=by,
                reason=reason,
            )
            return await self._commit(done, case)

    async def dismiss(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator closes the case for good."""
        async with self._turn:
            case = await self._newest(case_id)
            done = lifecycle.dismiss(case, now=self._clock(), by=by, reason=reason)
            return await self._commit(done, case)

    async def hold(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator takes the case out of the clock's hands."""
        async with self._turn:
            case = await self._newest(case_id)
            done = lifecycle.hold(case, now=self._clock(), by=by, reason=reason)
            return await self._commit(done, case)

    async def lift(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator ends the limit now."""
        async with self._turn:
            case = await self._newest(case_id)
            done = limiting.lift(case, now=self._clock(), by=by, reason=reason)
            return await self._commit(done, case)

    async def pause(self, *, by: str, reason: str) -> None:
        """Stop all enforcement and lift everything (promise 8)."""
        async with self._turn:
            await self._switch("yes", by)
            for case in list(self._book.cases.values()):
                await self._suspend(case, by, f"All enforcement is paused: {reason}")
        _log.warning("all enforcement paused by %s: %s", by, reason)

    async def resume(self, *, by: str, reason: str) -> None:
        """Let limits start again. None that was lifted comes back by itself."""
        async with self._turn:
            await self._switch("no", by)
        _log.warning("enforcement resumed by %s: %s", by, reason)

    def hosts(self) -> tuple[HostView, ...]:
        """All hosts that have reported since the start, as they are now."""
        return self._hosts.views()

    async def case(self, case_id: str) -> Case | None:
        """One case, open or closed."""
        try:
            return await self._newest(case_id)
        except UnknownCase:
            return None

    async def cases(
        self,
        *,
        state: State | None = None,
        host: str | None = None,
        tenant: str | None = None,
        limit: int = 100,
    ) -> list[Case]:
        """The newest cases that match, newest first."""
        async with self._database.read() as connection:
            found = await cases.recent(
                connection, state=state, host=host, tenant=tenant, limit=limit
            )
        return [read_case(document) for document in found]

    async def timeline(self, case_id: str) -> list[TimelineEntry]:
        """A case's history, oldest first."""
        async with self._database.read() as connection:
            rows = await cases.events(connection, case_id)
        return [
            TimelineEntry(at=row.at, event=row.event, actor=row.actor, text=row.text)
            for row in rows
        ]

    async def _review(self, case: Case, host: Host, now: float) -> None:
        """One open case in the light of its host's newest report."""
        verdict = host.window.verdict(case.resource, case.tenant, now=now)
        if case.limit is not None:
            await self._hear_limiter(case, host, now)
            case = self._book.cases[case.id]
            await self._take(limiting.adjust(case, verdict, host.measured, self.policy), case)
            return
        await self._take(lifecycle.see_verdict(case, verdict, self.policy, self.mode), case)
        newest = self._book.cases.get(case.id)
        if newest is not None:
            due = limiting.due_limit(
                newest, verdict, host.measured, self.policy, self._circumstances(case.host)
            )
            await self._take(due, newest)

    async def _hear_limiter(self, case: Case, host: Host, now: float) -> None:
        limiter, limit = host.report.limiter, case.limit
        if limiter is None or limit is None:
            return
        if any(held.order == limit.order for held in limiter.held):
            await self._take(limiting.confirmed(case, now=now), case)
        for refusal in limiter.refused:
            if refusal.order == limit.order:
                await self._take(limiting.refused(case, refusal, self.policy, now=now), case)

    async def _open_cases(self, host: Host, now: float) -> None:
        name = host.report.host
        for resource, tenant in host.window.suspects():
            if self._book.is_open((name, tenant, resource)):
                continue
            previous = await self._last_closed(name, tenant, resource)
            # What one case was about does not open the next one.
            since = previous.closed_at or 0.0 if previous else 0.0
            verdict = host.window.verdict(resource, tenant, now=now, since=since)
            if verdict.outcome == "disproportionate" and lifecycle.may_open(
                previous, self.policy, now
            ):
                opened = lifecycle.open_case(
                    self._new_id(), name, tenant, verdict, self.policy, previous
                )
                case = await self._commit(opened, None)
                await self._take(lifecycle.see_verdict(case, verdict, self.policy, self.mode), case)

    async def _measure_after(self, host: Host, now: float) -> None:
        """The proof of a limit's effect, once the neighbours have been without it for a while."""
        for case in list(self._awaiting_after.values()):
            if case.host != host.report.host:
                continue
            verdict = host.window.verdict(case.resource, case.tenant, now=now)
            done = limiting.measured_after(case, verdict, self.policy)
            if done is not None:
                await self._commit(done, case)
                del self._awaiting_after[case.id]

    async def _last_closed(self, host: str, tenant: str, resource: Resource) -> Case | None:
        async with self._database.read() as connection:
            document = await cases.last_closed_document(connection, host, tenant, resource)
        return None if document is None else read_case(document)

    async def _newest(self, case_id: str) -> Case:
        case = self._book.cases.get(case_id)
        if case is not None:
            return case
        async with self._database.read() as connection:
            document = await cases.document(connection, case_id)
        if document is None:
            raise UnknownCase(f'there is no case "{case_id}"')
        return read_case(document)

    async def _suspend(self, case: Case, by: str, reason: str) -> None:
        await self._take(
            limiting.suspend_limit(case, now=self._clock(), by=by, reason=reason), case
        )

    async def _take(self, done: Step | None, previous: Case) -> None:
        """Store a step if there is one; what only touches the cache is not worth a write."""
        if done is None:
            return
        if done.case.version == previous.version:
            self._book.keep(done.case)
            return
        await self._commit(done, previous)

    async def _commit(self, done: Step, previous: Case | None) -> Case:
        try:
            async with self._database.write() as connection:
                await write_step(connection, done, previous, mode=self.mode, now=self._clock())
        except StaleCase as error:
            raise CaseRefused(
                "the case was changed by someone else just now; look again"
            ) from error
        self._settle(done)
        return done.case

    def _settle(self, done: Step) -> None:
        """The caches follow what is stored."""
        case = done.case
        self._book.apply(done)
        if case.state == "closed" and case.effect is not None and case.effect.after is None:
            self._awaiting_after[case.id] = case
        for entry in done.entries:
            _log.info("case %s: %s by %s: %s", case.id, entry.event, entry.actor, entry.text)
        if any(isinstance(action, QueueNotice) for action in done.actions):
            self.notice_queued()

    async def _switch(self, value: str, by: str) -> None:
        async with self._database.write() as connection:
            await switches.set(connection, _PAUSED, value, at=self._clock(), by=by)
        self._paused = value == "yes"

    def _circumstances(self, host: str) -> Circumstances:
        return Circumstances(
            mode=self.mode,
            paused=self._paused,
            limits_on_host=self._book.limits_on(host),
            limits_in_fleet=self._book.limits(),
        )


def _standing(row: orders.OrderRow) -> StandingOrder:
    document = msgspec.json.decode(row.document, type=OrderDocument)
    return StandingOrder(
        order=row.id,
        case_id=row.case_id,
        host=row.host,
        tenant=row.tenant,
        resource=msgspec.convert(row.resource, Resource),
        allowance=document.allowance,
        fair_share=document.fair_share,
        lease_until=row.lease_until,
    )
