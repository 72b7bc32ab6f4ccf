"""Promises 1 and 5 hold whatever crashes and however the clock jumps, in whatever order."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.cases.steps import CaseRefused
from controller.fairshare.agreement import AgreementTerms
from tests.cases.world import BUSY, CALM, DEADLINE, Crash, World

REPEATED_DEADLINE = DEADLINE * 0.5


class CaseMachine(RuleBasedStateMachine):
    """Reports, mail, answers, operators, crashes and clock jumps between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.crashes_after_sending = 0

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def survive(self, work: Awaitable[Any]) -> None:
        """Do it; where the controller dies over it, start another one."""
        try:
            self.run(work)
        except Crash:
            self.run(self.world.restart())
        except CaseRefused:
            pass
        finally:
            self.world.faulty.die = None

    @initialize()
    def begin(self) -> None:
        self.world: World = self.run(World.open(Path(self.directory.name)))
        self.run(self.world.reports(10, BUSY))

    @rule(
        intervals=st.integers(1, 12), die=st.sampled_from([None, "before commit", "after commit"])
    )
    def tenant_is_busy(self, intervals: int, die: str | None) -> None:
        self.world.faulty.die = die
        self.survive(self.world.reports(intervals, BUSY, limiter=self.world.holding()))

    @rule(
        intervals=st.integers(1, 12), die=st.sampled_from([None, "before commit", "after commit"])
    )
    def tenant_is_calm(self, intervals: int, die: str | None) -> None:
        self.world.faulty.die = die
        self.survive(self.world.reports(intervals, CALM, waiting=0.0, limiter=self.world.holding()))

    @rule(die=st.sampled_from([None, "before commit", "after commit"]))
    def mail_server_accepts(self, die: str | None) -> None:
        before = len(self.world.mailbox)
        self.world.faulty.die = die
        self.survive(self.world.deliver())
        if die == "before commit":
            self.crashes_after_sending += len(self.world.mailbox) - before

    @rule()
    def controller_dies_between_sending_and_recording(self) -> None:
        before = len(self.world.mailbox)
        self.survive(self.world.deliver(crash_after_sending=True))
        self.crashes_after_sending += len(self.world.mailbox) - before

    @rule(die=st.sampled_from([None, "before commit", "after commit"]))
    def deadline_passes_with_the_tenant_still_busy(self, die: str | None) -> None:
        self.survive(self.world.deliver())
        self.survive(self.world.reports(8, BUSY, limiter=self.world.holding()))
        self.world.faulty.die = die
        self.survive(self.world.reports(8, BUSY, limiter=self.world.holding()))

    @rule(seconds=st.sampled_from([-2000.0, -70.0, 1.0, 70.0, 150.0, 5000.0]))
    def clock_jumps(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(die=st.sampled_from([None, "before commit", "after commit"]))
    def time_passes(self, die: str | None) -> None:
        self.world.faulty.die = die
        self.survive(self.world.desk.tick())

    @rule(mode=st.sampled_from(["contact", "enforce"]))
    def operator_changes_how_far_it_goes(self, mode: Any) -> None:
        self.run(self.world.restart(mode))

    @rule()
    def controller_is_killed(self) -> None:
        self.run(self.world.restart())

    @precondition(lambda self: self.world.mailbox)
    @rule(
        data=st.data(),
        kind=st.sampled_from(["acknowledge", "more-time", "solved", "dispute"]),
        die=st.sampled_from([None, "before commit", "after commit"]),
    )
    def customer_answers(self, data: st.DataObject, kind: Any, die: str | None) -> None:
        case_id = data.draw(st.sampled_from(self.world.mailbox)).split("-")[0]
        self.world.faulty.die = die
        self.survive(self.world.desk.answer(case_id, kind, "note"))

    @rule(
        action=st.sampled_from(["approve", "dismiss", "hold", "lift", "pause", "resume"]),
        die=st.sampled_from([None, "before commit", "after commit"]),
    )
    def operator_acts(self, action: str, die: str | None) -> None:
        self.world.faulty.die = die
        if action in ("pause", "resume"):
            self.survive(getattr(self.world.desk, action)(by="anna", reason="r"))
        else:
            for case in self.run(self.world.desk.cases()):
                self.survive(getattr(self.world.desk, action)(case.id, by="anna", reason="r"))

    @rule(
        kind=st.sampled_from(["share", "exempt", "test"]),
        seconds=st.sampled_from([5.0, 60.0]),
        die=st.sampled_from([None, "before commit", "after commit"]),
    )
    def operator_agrees(self, kind: Any, seconds: float, die: str | None) -> None:
        terms = AgreementTerms(
            tenant="hog",
            kind=kind,
            share=0.8 if kind == "share" else None,
            ends_at=self.world.now + seconds,
            agreed_with="Hanne Hog",
        )
        self.world.faulty.die = die
        self.survive(self.world.desk.agreements.record(terms, by="anna"))

    @invariant()
    def promise_1_contact_first(self) -> None:
        for order in self.run(self.world.stored_orders()):
            if order.ordered_by is not None:
                assert order.reason
                continue
            case = self.run(self.world.desk.case(order.case_id))
            assert order.notice_id in self.world.mailbox
            assert order.notice_id == case.notice
            assert case.no_limit != "promised"
            allowed = REPEATED_DEADLINE if case.repeat_of else DEADLINE
            assert order.issued_at >= case.notice_accepted_at + allowed

    @invariant()
    def promise_2_no_order_is_told_past_its_lease(self) -> None:
        for order in self.world.desk.limits_for("h1", self.world.now):
            assert order.remaining_seconds > 0

    @invariant()
    def promise_4_no_order_is_under_the_fair_share(self) -> None:
        for order in self.world.desk.limits_for("h1", self.world.now):
            assert order.allowance.cores >= order.fair_share.cores * 0.999  # type: ignore[operator]  # cpu has cores

    @invariant()
    def promise_5_nothing_is_sent_twice_but_for_a_crash_in_between(self) -> None:
        repeats = sum(count - 1 for count in Counter(self.world.mailbox).values())
        assert repeats <= self.crashes_after_sending

    @invariant()
    def caches_say_what_the_store_says(self) -> None:
        standing = {
            order.id
            for order in self.run(self.world.stored_orders())
            if order.ended_at is None and order.lease_until > self.world.now
        }
        told = {order.order for order in self.world.desk.limits_for("h1", self.world.now)}
        assert told == (set() if self.world.desk.paused else standing)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self.world.deliver())
            self.promise_5_nothing_is_lost()
            self.run(self.world.database.close())
        self.loop.close()
        self.directory.cleanup()

    def promise_5_nothing_is_lost(self) -> None:
        """Every notice that a stored step asked for has been accepted in the end."""

        self.world.now += 1e6
        self.run(self.world.deliver())
        assert self.run(self.world.unsettled()) == []


TestCaseMachine = CaseMachine.TestCase
TestCaseMachine.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
