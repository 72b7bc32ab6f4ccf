"""A desk over a real database, with a clock and a mail channel that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases.desk import Desk
from controller.cases.model import Case
from controller.cases.policies import OnePolicy, PolicyChoice
from controller.cases.rings import Modes
from controller.contact import recording
from controller.contact.delivery import Accepted
from controller.contact.letters import queued
from controller.fairshare.policy import (
    LimitTerms,
    Policy,
    Rule,
    Severities,
    SeverityStep,
    Times,
)
from controller.settings import Mode
from controller.storage import notices, orders, reports
from controller.storage.database import Database
from fairuse_protocol.limits import HeldLimit, LimiterState, LimitOrder
from fairuse_protocol.reports import Report, encode_report
from fairuse_protocol.units import Duration
from tests.databases import database_in
from tests.fairshare.reports import cpu_report

START = 1_000_000.0
DEADLINE = 60.0

POLICY = Policy(
    rule=Rule(window=Duration(100)),
    severity=Severities(
        low=SeverityStep(harmed_share=0, waiting=0, deadline=Duration(DEADLINE)),
        high=SeverityStep(harmed_share=1, waiting=1, deadline=Duration(DEADLINE)),
        critical=SeverityStep(harmed_share=1, waiting=1, deadline=Duration(DEADLINE)),
    ),
    times=Times(
        mail_arrives_within=Duration(1),
        subsides_after=Duration(50),
        acknowledged=Duration(200),
        more_time=Duration(300),
        solved_check=Duration(100),
    ),
    limit=LimitTerms(lease=Duration(120), step_every=Duration(20)),
)
BUSY = {"hog": 6.0, "a": 0.5, "b": 0.5, "c": 0.5}
CALM = {"hog": 0.5, "a": 0.5, "b": 0.5, "c": 0.5}


class Crash(BaseException):
    """The controller dies here."""


class FaultyDatabase:
    """The real database, whose next transaction can be made to die before or after its commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.die: str | None = None
        self._spared = 0
        self.fail: Exception | None = None
        self.read = database.read

    def die_after(self, commits: int, die: str | None) -> None:
        """The transaction after so many others is the one to die in."""
        self._spared, self.die = commits if die else 0, die

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        die = None
        if self._spared:
            self._spared -= 1
        else:
            die, self.die = self.die, None
        if self.fail is not None:
            raise self.fail
        async with self._database.write() as connection:
            yield connection
            if die == "before commit":
                raise Crash
        if die == "after commit":
            raise Crash


class World:
    """One controller's desk, its hosts' reports and its customers' mailbox."""

    def __init__(self, database: Database, mode: Mode, choice: PolicyChoice) -> None:
        self.database = database
        self.faulty = FaultyDatabase(database)
        self.mode: Mode = mode
        self.rings: Path | None = None
        self.choice = choice
        self.now = START
        self.steady = 0.0
        """Runs on with every interval, whatever a test does to the time of day."""
        self.mailbox: list[str] = []
        """Ids of the messages that the customer's channel accepted, in order."""
        self.crashes = 0
        self._sequence = 0
        self._ids = 0
        self.desk = self._desk()

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        mode: Mode = "enforce",
        policy: Policy = POLICY,
        choice: PolicyChoice | None = None,
    ) -> World:
        database = await Database.open(database_in(directory))
        world = cls(database, mode, choice or OnePolicy(policy))
        await world.desk.start()
        return world

    def _desk(self) -> Desk:
        return Desk(
            self.faulty,  # type: ignore[arg-type]  # it has the two methods that the desk uses
            self.choice,
            Modes(self.mode, self.rings),
            lambda: self.now,
            self._new_id,
            lambda: self.steady,
        )

    def _new_id(self) -> str:
        self._ids += 1
        return f"case{self._ids}"

    async def restart(self, mode: Mode | None = None) -> None:
        """What stood only in memory is gone."""
        self.mode = mode or self.mode
        self.faulty.die = None
        self.desk = self._desk()
        await self.desk.start()

    async def report(
        self,
        used: dict[str, float] = BUSY,
        *,
        seconds: float = 10.0,
        waiting: float = 0.3,
        limiter: LimiterState | None = None,
    ) -> Report:
        """One interval passes and its report is stored and judged."""
        self.now += seconds
        self.steady += seconds
        self._sequence += 1
        report = cpu_report(
            self.now,
            used,
            waiting=waiting,
            seconds=seconds,
            sequence=self._sequence,
            limiter=limiter,
        )
        row = reports.ReportRow("h1", "s", self._sequence, self.now, encode_report(report))
        async with self.database.write() as connection:
            await reports.append(connection, [row])
        await self.desk.observe(self.desk.see(report))
        return report

    async def reports(self, count: int, used: dict[str, float] = BUSY, **figures: object) -> None:
        for _ in range(count):
            await self.report(used, **figures)  # type: ignore[arg-type]  # passed through

    def holding(self) -> LimiterState:
        """A limiter that holds exactly what the controller orders now."""
        return LimiterState(
            held=tuple(_held(order) for order in self.desk.limits_for("h1", self.now))
        )

    async def deliver(self, *, crash_after_sending: bool = False) -> None:
        """The mail server accepts everything that is in the outbox."""
        for row in await self.unsettled():
            assert row.next_try_at is not None, "what is not settled is tried again"
            if row.next_try_at > self.now:
                continue
            notice = queued(row)
            self.mailbox.append(row.id)
            if crash_after_sending:
                raise Crash
            said = Accepted("email", "250 ok")
            await recording.accepted(self.desk, [notice], said, self.now, ())

    async def unsettled(self) -> list[notices.NoticeRow]:
        """What the outbox holds, about whomever."""
        async with self.database.read() as connection:
            tenants = await notices.due_tenants(connection, float("inf"), 1000)
            return [row for name in tenants for row in await notices.waiting(connection, name)]

    async def pass_time(self, seconds: float) -> None:
        """Nothing is heard of the host for a while; the controller's clock ticks on."""
        self.now += seconds
        self.steady += seconds
        await self.desk.tick()

    async def only_case(self) -> Case:
        (case,) = await self.desk.cases()
        return case

    async def stored_orders(self) -> list[orders.OrderRow]:
        rows: list[orders.OrderRow] = []
        async with self.database.read() as connection:
            for case in await self.desk.cases(limit=1000):
                rows += await orders.of_case(connection, case.id)
        return rows

    async def until(self, condition: Callable[[Case], bool], **figures: object) -> Case:
        """Report until the only case is so; gives up after a hundred intervals."""
        for _ in range(100):
            case = await self.only_case()
            if condition(case):
                return case
            await self.report(**figures)  # type: ignore[arg-type]  # passed through
        raise AssertionError(f"never seen; the case is {case.state}")


def _held(order: LimitOrder) -> HeldLimit:
    return HeldLimit(
        order=order.order,
        tenant=order.tenant,
        resource=order.resource,
        allowance=order.allowance,
        remaining_seconds=order.remaining_seconds,
        way="test",
    )


async def limited(world: World) -> None:
    """Lead the world to a limit that its host holds."""
    await world.reports(10)
    await world.deliver()
    await world.until(lambda case: case.state == "limited")
    await world.report(limiter=world.holding())


async def kinds_sent(world: World) -> list[str]:
    case = await world.only_case()
    async with world.database.read() as connection:
        return [row.kind for row in await notices.of_case(connection, case.id)]
