"""The desk: whatever can change a case comes through here, takes its turn, and is written down.

A report, the clock, the outbox, the customer, an operator: the lifecycle decides what it does,
the ledger stores it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases import answers, lifecycle, limiting, suspending
from controller.cases.agreements import AgreementBook
from controller.cases.habits import HabitBook
from controller.cases.hosts import Host, Hosts, Look
from controller.cases.judging import Judging, Seen
from controller.cases.jumps import Jumps
from controller.cases.ledger import Ledger, UnknownCase, new_case_id
from controller.cases.limiting import DAY_SECONDS, Circumstances
from controller.cases.live import LiveUse
from controller.cases.model import AnswerKind, Case, State, Step, TimelineEntry
from controller.cases.policies import PolicyChoice
from controller.cases.record import read_case
from controller.cases.review import begins_after, open_case, review
from controller.cases.rings import Modes
from controller.cases.steps import CaseRefused
from controller.cases.views import HostView
from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import Policy
from controller.storage import cases, orders, switches, timeline
from controller.storage.database import Database
from fairuse_protocol.limits import LimitOrder, SuspendOrder
from fairuse_protocol.messages import Resource
from fairuse_protocol.reports import Report

__all__ = ["Desk", "UnknownCase"]

_log = logging.getLogger(__name__)
_PAUSED = "paused"


class Desk:
    """Runs all cases of this controller."""

    def __init__(
        self,
        database: Database,
        policies: PolicyChoice,
        modes: Modes,
        clock: Callable[[], float],
        new_id: Callable[[], str] = new_case_id,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` tells the time of day, `steady` runs on whatever happens to that one."""
        self._database = database
        self._policies = policies
        self.modes = modes
        self._clock = clock
        self._new_id = new_id
        self._jumps = Jumps(clock(), steady)
        self._turn = asyncio.Lock()
        self._ledger = Ledger(database, modes, clock)
        self.agreements = AgreementBook(database, clock)
        self._habits = HabitBook(database)
        self._judging = Judging(policies, self.agreements)
        self._hosts = Hosts(database, self._judging)
        self.live = LiveUse(self._hosts, policies)
        self._paused = False

    def when_outbox_changes(self, call: Callable[[], None]) -> None:
        """Have this called whenever there is something in the outbox to send or leave unsent."""
        self._ledger.outbox_changed = call

    @property
    def paused(self) -> bool:
        """Whether an operator has stopped all enforcement."""
        return self._paused

    async def start(self) -> None:
        """Load what is open; end limits that the mode no longer allows."""
        async with self._database.read() as connection:
            switch = await switches.get(connection, _PAUSED)
        self._paused = switch is not None and switch.value == "yes"
        await self.agreements.load()
        standing = await self._ledger.load(now=self._clock())
        if (mode := self.modes.most) != "enforce":
            reason = f'The provider set the mode to "{mode}": nothing is limited by rule.'
            by_rule = {row.case_id for row in standing if row.ordered_by is None}
            async with self._turn:
                for case_id in by_rule if mode == "contact" else set(self._ledger.book.cases):
                    await self._suspend(self._ledger.book.cases[case_id], "configuration", reason)

    def see(self, report: Report) -> Seen:
        """What `observe` needs of a report; changes nothing."""
        return self._judging.see(report)

    async def observe(self, seen: Seen) -> None:
        """Act on a report that is stored: open, move and close cases."""
        now, name = self._clock(), seen.report.host
        host = await self._hosts.take(seen, now=now)
        self._habits.take(name, seen.intervals[0][1])
        suspects = any(look.window.suspects() for look in host.looks)
        if not (suspects or self._ledger.book.of_host(name) or self._ledger.awaiting_after):
            return
        async with self._turn:
            for case in self._ledger.book.of_host(name):
                await self._review(case, host, now)
            await self._open_cases(host, now)
            await self._measure_after(host, now)

    def limits_for(self, host: str, now: float) -> tuple[LimitOrder, ...]:
        """What this host should hold now."""
        return () if self._paused else self._ledger.book.orders_of(host, now)

    def suspensions_for(self, host: str, now: float) -> tuple[SuspendOrder, ...]:
        """Whom this host should keep frozen now, by operators' orders."""
        return () if self._paused else suspending.orders_of(self._ledger.book.of_host(host), now)

    async def tick(self) -> None:
        """What the clock alone brings about: leases that have run out, hours that have ended."""
        now = self._clock()
        await self._habits.flush()
        async with self._turn:
            await self._notice_jump(now)
            for case in list(self._ledger.book.cases.values()):
                for done in (
                    limiting.lease_over(case, now=now),
                    suspending.suspension_over(case, now=now),
                ):
                    if done is not None:
                        await self._ledger.commit(done, case)
                        break  # the other's turn is the next tick

    async def answer(self, case_id: str, kind: AnswerKind, note: str) -> Case:
        """The customer answers. CaseRefused says why not, UnknownCase if there is none."""
        return await self.carry_out(
            case_id,
            lambda case, now: answers.answer(case, kind, note, self.policy_of(case), now=now),
        )

    async def approve(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator orders a limit by name (promise 1)."""
        now = self._clock()
        async with self._turn:
            case = await self._ledger.newest(case_id)
            host = self._hosts.get(case.host)
            if host is None:
                raise CaseRefused(f"{case.host} has not reported since the controller started")
            policy, look = self._look(case, host)
            verdict = await self._verdict(host, look, case.resource, case.tenant, now)
            done = limiting.order_by_name(
                case,
                verdict,
                look.newest,
                policy,
                await self._circumstances(case, now, ordered_by_name=True),
                by=by,
                reason=reason,
            )
            return await self._ledger.commit(done, case)

    async def dismiss(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator closes the case for good."""
        return await self.carry_out(
            case_id, lambda case, now: lifecycle.dismiss(case, now=now, by=by, reason=reason)
        )

    async def hold(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator takes the case out of the clock's hands."""
        return await self.carry_out(
            case_id, lambda case, now: lifecycle.hold(case, now=now, by=by, reason=reason)
        )

    async def release(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator gives a held case back to the clock."""
        return await self.carry_out(
            case_id,
            lambda case, now: lifecycle.release(
                case, self.policy_of(case), now=now, by=by, reason=reason
            ),
        )

    async def lift(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator ends the limit now."""
        return await self.carry_out(
            case_id, lambda case, now: limiting.lift(case, now=now, by=by, reason=reason)
        )

    async def suspend(self, case_id: str, *, by: str, reason: str, seconds: float) -> Case:
        """An operator has the tenant frozen for so long."""

        def freeze(case: Case, now: float) -> Step:
            if self._paused or self.modes.on(case.host) == "observe":
                raise CaseRefused('nobody is suspended while enforcement is paused or at "observe"')
            order = suspending.Order(by=by, reason=reason, seconds=seconds)
            return suspending.suspend(case, order, now=now)

        return await self.carry_out(case_id, freeze)

    async def thaw(self, case_id: str, *, by: str, reason: str) -> Case:
        """An operator ends the suspension now."""
        return await self.carry_out(
            case_id, lambda case, now: suspending.thaw(case, now=now, by=by, reason=reason)
        )

    async def carry_out(
        self,
        case_id: str,
        transition: Callable[[Case, float], Step],
        also: Callable[[AsyncConnection], Awaitable[bool]] | None = None,
    ) -> Case:
        """What somebody does to a case, on its newest version and in its turn.

        `also` changes something else in the same transaction; when it returns False, the step is
        not taken either. CaseRefused or UnknownCase says why not.
        """
        async with self._turn:
            case = await self._ledger.newest(case_id)
            return await self._ledger.commit(transition(case, self._clock()), case, also)

    async def carry_out_together(
        self,
        case_ids: Sequence[str],
        transition: Callable[[Case, float], Step],
        also: Callable[[AsyncConnection], Awaitable[bool]],
    ) -> bool:
        """The same for several cases at once: all of their steps and `also`, or nothing of it.

        Whether it was done; CaseRefused or UnknownCase says why it could not be.
        """
        async with self._turn:
            cases_now = [await self._ledger.newest(case_id) for case_id in case_ids]
            steps = [(transition(case, self._clock()), case) for case in cases_now]
            return await self._ledger.commit_together(steps, also)

    def policy_of(self, case: Case) -> Policy:
        """The policy in force for the case's tenant on its host."""
        return self._policies.policy_for(case.tenant, case.host)

    async def pause(self, *, by: str, reason: str) -> None:
        """Stop all enforcement and lift everything (promise 8)."""
        # Whatever the store says: from here on no host is told to hold anything.
        self._paused = True
        async with self._turn:
            await self._switch("yes", by)
            for case in list(self._ledger.book.cases.values()):
                await self._suspend(case, by, f"All enforcement is paused: {reason}")
        _log.warning("all enforcement paused by %s: %s", by, reason)

    async def resume(self, *, by: str, reason: str) -> None:
        """Let limits start again. Cases whose limit the pause ended are held for a person."""
        async with self._turn:
            await self._switch("no", by)
        _log.warning("enforcement resumed by %s: %s", by, reason)

    def hosts(self) -> tuple[HostView, ...]:
        """All hosts that have reported since the start, as they are now."""
        return self._hosts.views()

    async def case(self, case_id: str) -> Case | None:
        """One case, open or closed."""
        try:
            return await self._ledger.newest(case_id)
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
            rows = await timeline.of_case(connection, case_id)
        return [
            TimelineEntry(at=row.at, event=row.event, actor=row.actor, text=row.text)
            for row in rows
        ]

    async def _review(self, case: Case, host: Host, now: float) -> None:
        """One open case in the light of its host's newest report."""
        policy, look = self._look(case, host)
        verdict = await self._verdict(host, look, case.resource, case.tenant, now)
        circumstances = await self._circumstances(case, now)
        for done in review(case, verdict, host.scene(look), policy, circumstances):
            await self._ledger.take(done, case)
            case = done.case

    async def _open_cases(self, host: Host, now: float) -> None:
        for look in host.looks:
            for resource, tenant in look.window.suspects():
                if self._policies.policy_for(tenant, host.report.host) is look.policy:
                    await self._open_case(host, look, resource, tenant, now)

    async def _open_case(
        self, host: Host, look: Look, resource: Resource, tenant: str, now: float
    ) -> None:
        """A case about one suspect, if there is none yet and the window gives reason for one."""
        name = host.report.host
        if self._ledger.book.is_open((name, tenant, resource)):
            return
        verdict = await self._verdict(host, look, resource, tenant, now)
        if verdict.outcome != "disproportionate":
            return
        previous = await self._ledger.last_closed(name, tenant, resource)
        if previous is not None:
            since = begins_after(previous)
            verdict = await self._verdict(host, look, resource, tenant, now, since)
        case = None
        for done in open_case(
            self._new_id, name, tenant, verdict, previous, look.policy, self.modes.on(name)
        ):
            await self._ledger.take(done, case)
            case = done.case

    def _look(self, case: Case, host: Host) -> tuple[Policy, Look]:
        """The case's policy, and what it sees. Of a tenant that is gone, any sees nothing."""
        policy = self.policy_of(case)
        return policy, host.look(policy) or host.looks[0]

    async def _verdict(
        self,
        host: Host,
        look: Look,
        resource: Resource,
        tenant: str,
        now: float,
        since: float = 0.0,
    ) -> Verdict:
        """The window's verdict, with the tenant's habit at this hour as evidence."""
        usual = await self._habits.usual(host.report.host, tenant, resource, at=now)
        return look.window.verdict(resource, tenant, now=now, since=since, usual_used=usual)

    async def _measure_after(self, host: Host, now: float) -> None:
        """The proof of a limit's effect, once the neighbours have been without it for a while."""
        for case in list(self._ledger.awaiting_after.values()):
            if case.host != host.report.host:
                continue
            policy, look = self._look(case, host)
            verdict = look.window.verdict(case.resource, case.tenant, now=now)
            done = limiting.measured_after(case, verdict, policy)
            if done is not None:
                await self._ledger.commit(done, case)

    async def _notice_jump(self, now: float) -> None:
        """A clock set forward must not bring any deadline nearer (promise 1)."""
        jump = self._jumps.since_last(now)
        if jump == 0:
            return
        because = "The controller's clock was set forward"
        for case in list(self._ledger.book.cases.values()):
            await self._ledger.take(lifecycle.skip_time(case, jump, now=now, because=because), case)

    async def _suspend(self, case: Case, by: str, reason: str) -> None:
        now = self._clock()
        done = limiting.suspend_limit(case, now=now, by=by, reason=reason)
        await self._ledger.take(done, case)
        case = case if done is None else done.case
        done = suspending.ended_with_enforcement(case, now=now, by=by, reason=reason)
        await self._ledger.take(done, case)

    async def _switch(self, value: str, by: str) -> None:
        async with self._database.write() as connection:
            await switches.set(connection, _PAUSED, value, at=self._clock(), by=by)
        self._paused = value == "yes"

    async def _circumstances(
        self, case: Case, now: float, *, ordered_by_name: bool = False
    ) -> Circumstances:
        """What else decides about a limit; the store is only asked where one may start now."""
        overdue = case.deadline is not None and case.deadline <= now
        limited_seconds = 0.0
        if case.limit is None and (ordered_by_name or (overdue and self.modes.most == "enforce")):
            async with self._database.read() as connection:
                limited_seconds = await orders.limited_seconds(
                    connection, case.host, case.tenant, since=now - DAY_SECONDS, now=now
                )
        return Circumstances(
            mode=self.modes.on(case.host),
            paused=self._paused,
            limits_on_host=self._ledger.book.limits_on(case.host),
            limits_in_fleet=self._ledger.book.limits(),
            limited_seconds=limited_seconds,
        )
