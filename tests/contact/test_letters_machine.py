"""Promises 1 and 5 for letters: whatever crashes between any two steps, a letter goes out as it was
decided or not at all, and no case's clock starts but by a letter that was accepted."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Awaitable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.cases.desk import Desk
from controller.cases.lifecycle import open_case, see_verdict
from controller.cases.model import Case
from controller.cases.policies import OnePolicy
from controller.cases.record import write_step
from controller.cases.rings import Modes
from controller.contact.delivery import Accepted, Outcome, Refused
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import Dispatcher
from controller.contact.notice import RenderedNotice
from controller.contact.postman import Postman
from controller.fairshare.policy import Policy
from controller.settings import Contact
from controller.storage import notices
from controller.storage.database import Database
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration
from tests.cases.world import Crash, FaultyDatabase
from tests.contact import samples
from tests.databases import database_in

NOW = samples.NOW
SETTINGS = Contact(
    group_interval=Duration(120), retry_for=Duration(3600), next_contact_after=Duration(600)
)
TENANTS = ("web-042", "web-043")
DEATHS = st.sampled_from([None, "before commit", "after commit"])
VERDICT = samples.verdict(intervals=6)


class Postbox:
    """A channel that answers as told and keeps what it was given; it may die after taking it."""

    name = "email"

    def __init__(self) -> None:
        self.answer = "accept"
        self.dies = False
        self.taken: list[tuple[str, frozenset[str]]] = []
        """Every letter that it has said yes to: id and the notices in it."""

    async def send(self, notice: RenderedNotice, contact: TenantContact, now: float) -> Outcome:
        if self.answer != "accept":
            return Refused(self.name, "no", for_good=self.answer == "refuse")
        others = notice.data.get("others", [])
        held = frozenset(each["notice"] for each in (notice.data, *others))
        self.taken.append((notice.id, held))
        if self.dies:
            raise Crash
        return Accepted(self.name, "250 ok")

    async def close(self) -> None:
        pass


class LetterMachine(RuleBasedStateMachine):
    """Cases opened and closed, time, mail servers of three minds, and deaths at every commit."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.now = NOW
        self.cases: list[str] = []
        self.closed: set[str] = set()
        self.crashes = 0
        self.postbox = Postbox()

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        path = Path(self.directory.name)
        (path / "tenants.toml").write_text(
            "".join(f'[[tenants.{each}.contacts]]\nemail = ["a@example.org"]\n' for each in TENANTS)
        )
        self.database: Database = self.run(Database.open(database_in(path)))
        self.faulty = FaultyDatabase(self.database)
        self.people = ContactDirectory(path / "tenants.toml")
        self.start()

    def start(self) -> None:
        """What stood only in memory is gone."""
        self.faulty.die = None
        self.postbox.dies = False
        faulty: Any = self.faulty
        self.desk = Desk(faulty, OnePolicy(Policy()), Modes("contact"), lambda: self.now)
        self.run(self.desk.start())
        postman = Postman(
            [self.postbox], samples.terms(), next_contact_after=SETTINGS.next_contact_after
        )
        self.dispatcher = Dispatcher(
            faulty, self.desk, postman, self.people, SETTINGS, clock=lambda: self.now
        )

    @rule(
        tenant=st.sampled_from(TENANTS),
        severity=st.sampled_from(["low", "low", "high", "critical"]),
    )
    def a_case_is_opened(self, tenant: str, severity: Any) -> None:
        name = f"c{len(self.cases)}"
        opened = open_case(name, f"h-{name}", tenant, VERDICT, Policy(), None)
        case = msgspec.structs.replace(opened.case, severity=severity)
        opened = msgspec.structs.replace(opened, case=case)
        queued = see_verdict(case, VERDICT, Policy(), "contact")
        assert queued is not None

        async def store() -> None:
            async with self.database.write() as connection:
                await write_step(connection, opened, None, mode="contact", now=self.now)
                await write_step(connection, queued, case, mode="contact", now=self.now)

        self.run(store())
        self.cases.append(name)

    @rule(data=st.data())
    def a_case_is_closed(self, data: st.DataObject) -> None:
        open_cases = [name for name in self.cases if name not in self.closed]
        if open_cases:
            name = data.draw(st.sampled_from(open_cases))
            self.run(self.desk.dismiss(name, by="otto", reason="agreed by telephone"))
            self.closed.add(name)

    @rule(seconds=st.sampled_from([1.0, 30.0, 119.0, 120.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        answer=st.sampled_from(["accept", "accept", "defer", "refuse"]),
        commits=st.integers(0, 3),
        die=DEATHS,
        dies_after_taking=st.booleans(),
    )
    def a_pass(self, answer: str, commits: int, die: Any, dies_after_taking: bool) -> None:
        """The controller may die with the channel's yes in its hands, or at any of its commits."""
        self.postbox.answer, self.postbox.dies = answer, dies_after_taking
        self.faulty.die_after(commits, die)
        try:
            self.run(self.dispatcher.send_due(self.now))
        except Crash:
            self.crashes += 1
            self.run(self.others())
            self.start()
        self.faulty.die = None
        self.postbox.dies = False

    async def others(self) -> None:
        """What else was under way came to its end before the crash."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    @rule()
    def the_controller_is_killed(self) -> None:
        self.start()

    def rows(self) -> list[notices.NoticeRow]:
        async def read() -> list[notices.NoticeRow]:
            async with self.database.read() as connection:
                return [r for name in self.cases for r in await notices.of_case(connection, name)]

        return self.run(read())  # type: ignore[no-any-return]  # as read() says

    def case(self, name: str) -> Case:
        case = self.run(self.desk.case(name))
        assert isinstance(case, Case)
        return case

    @invariant()
    def promise_1_a_clock_runs_only_where_a_letter_about_that_case_was_taken(self) -> None:
        told = {notice for _, held in self.postbox.taken for notice in held}
        for row in self.rows():
            if row.accepted_at is not None:
                assert row.id in told
            if row.kind == "first-notice":
                case = self.case(row.case_id)
                assert (case.notice_accepted_at is not None) == (row.accepted_at is not None)
                assert case.state != "limited"

    @invariant()
    def promise_5_a_letter_sent_again_is_the_same_letter(self) -> None:
        gone = {row.id for row in self.rows() if row.failed_at is not None}
        held_by: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
        for letter, held in self.postbox.taken:
            held_by[letter].append(held)
        for versions in held_by.values():
            for before, after in pairwise(versions):
                assert after <= before, "a letter never holds more than it did"
                assert before - after <= gone, "only what is true no more is left out"
        letters_of: defaultdict[str, set[str]] = defaultdict(set)
        for letter, held in self.postbox.taken:
            for notice in held:
                letters_of[notice].add(letter)
        assert all(len(letters) == 1 for letters in letters_of.values())

    @invariant()
    def promise_5_nothing_is_sent_twice_but_for_a_crash(self) -> None:
        repeats = len(self.postbox.taken) - len({letter for letter, _ in self.postbox.taken})
        assert repeats <= self.crashes * len(TENANTS)

    @invariant()
    def a_letter_is_accepted_as_a_whole(self) -> None:
        by_letter: defaultdict[str, set[bool]] = defaultdict(set)
        for row in self.rows():
            if row.letter is not None and row.failed_at is None:
                by_letter[row.letter].add(row.accepted_at is not None)
        assert all(len(accepted) == 1 for accepted in by_letter.values())

    def teardown(self) -> None:
        if hasattr(self, "dispatcher"):
            self.promise_5_nothing_is_lost()
            self.run(self.database.close())
        self.loop.close()
        self.directory.cleanup()

    def promise_5_nothing_is_lost(self) -> None:
        self.postbox.answer = "accept"
        for _ in range(2):
            self.now += 3700
            self.run(self.dispatcher.send_due(self.now))
        assert all(row.next_try_at is None for row in self.rows())


TestLetterMachine = LetterMachine.TestCase
TestLetterMachine.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
