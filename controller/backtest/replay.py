"""A trace played through the rule and the cases as they run live.

Nobody answers a notice, every notice is accepted at once, and a limit does not change what was
recorded: it is lifted when its lease ends, or when the recorded use leaves room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count

from controller.backtest.events import Event, EventName, EventStore
from controller.backtest.intervals import IntervalBatch
from controller.backtest.measuring import Measurer
from controller.backtest.trace import Trace
from controller.cases import lifecycle, limiting
from controller.cases.book import Book, CaseKey
from controller.cases.limiting import Circumstances
from controller.cases.model import Case, Step
from controller.cases.review import Scene, begins_after, open_case, review
from controller.fairshare.evidence import Verdict
from controller.fairshare.interval import Interval, judge
from controller.fairshare.measured import Measured
from controller.fairshare.policy import Policy
from controller.fairshare.window import Window


class Replay:
    """One policy over one trace: feed it the measured batches in turn."""

    def __init__(self, policy: Policy, events: EventStore) -> None:
        self._policy = policy
        self._events = events
        self._windows: dict[str, Window] = {}
        self._book = Book()
        self._closed: dict[CaseKey, Case] = {}
        self._ratios: dict[str, float] = {}
        """Of each open case, by the verdict that it was last looked at with."""
        self._stood: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        """From when to when a tenant was limited on a host, for as long as a day looks back."""
        self._numbers = count(1)

    def take(self, measured: Measured, hosts: list[str]) -> None:
        """The next intervals, those of one host in order of time."""
        for interval, host in zip(judge(measured, self._policy.rule), hosts, strict=True):
            self._take(host, interval)

    def end(self) -> None:
        """The trace is over: limits that stand run out their leases."""
        for case in list(self._book.cases.values()):
            if case.limit is not None:
                self._run_out(case, case.limit.lease_until)

    def _take(self, host: str, interval: Interval) -> None:
        window = self._windows.get(host)
        if window is None:
            window = self._windows[host] = Window(self._policy.rule)
        before = window.latest
        now = interval.ended_at
        window.add(interval)
        window.forget_before(now)
        open_cases = self._book.of_host(host)
        if not open_cases and not window.anyone_counted:
            return
        silent_seconds = 0.0
        if before is not None:
            silent_seconds = max(0.0, now - interval.seconds - before.ended_at)
        scene = Scene(interval, silent_seconds, limiter=None, limits_show=False)
        for case in open_cases:
            if case.limit is not None and case.limit.lease_until <= now:
                self._run_out(case, case.limit.lease_until)
            else:
                self._review(case, window, scene, now)
        self._open_cases(host, window, now)

    def _review(self, case: Case, window: Window, scene: Scene, now: float) -> None:
        verdict = window.verdict(case.resource, case.tenant, now=now)
        self._ratios[case.id] = verdict.ratio
        circumstances = self._circumstances(case, now)
        steps = review(case, verdict, scene, self._policy, circumstances)
        self._carry_out(steps, case, now)

    def _open_cases(self, host: str, window: Window, now: float) -> None:
        for resource, tenant in window.suspects():
            key = (host, tenant, resource)
            if self._book.is_open(key):
                continue
            verdict = window.verdict(resource, tenant, now=now)
            if verdict.outcome != "disproportionate":
                continue
            previous = self._closed.get(key)
            if previous is not None:
                since = begins_after(previous)
                verdict = window.verdict(resource, tenant, now=now, since=since)
            self._open(host, tenant, verdict, previous)

    def _open(self, host: str, tenant: str, verdict: Verdict, previous: Case | None) -> None:
        steps = open_case(
            lambda: f"b{next(self._numbers)}",
            host,
            tenant,
            verdict,
            previous,
            self._policy,
            "enforce",
        )
        self._carry_out(steps, None, verdict.decided_at, verdict.ratio)

    def _carry_out(
        self, steps: Iterator[Step], case: Case | None, now: float, ratio: float = 0.0
    ) -> None:
        """Take the steps, and give the answers that mail server and host would give."""
        for done in steps:
            if case is None:
                self._ratios[done.case.id] = ratio
            self._apply(done, case)
            case = done.case
        if case is None:
            return
        if case.notice and case.notice_accepted_at is None and case.state == "watching":
            accepted = lifecycle.notice_accepted(
                case, self._policy, begins=True, at=now, channel="replay", answer="accepted at once"
            )
            self._apply(accepted, case)
        elif case.limit is not None and case.limit.confirmed_at is None:
            confirmed = limiting.confirmed(case, now=case.limit.ordered_at)
            if confirmed is not None:
                self._apply(confirmed, case)

    def _run_out(self, case: Case, at: float) -> None:
        done = limiting.lease_over(case, now=at)
        if done is not None:
            self._apply(done, case)

    def _apply(self, done: Step, before: Case | None) -> None:
        self._book.apply(done)
        case = done.case
        for name, time, reason in happened(done, before):
            self._tell(case, before, name, time, reason)
        if case.state == "closed":
            self._closed[case.host, case.tenant, case.resource] = case
            self._ratios.pop(case.id, None)

    def _tell(
        self, case: Case, before: Case | None, name: EventName, time: float, reason: str
    ) -> None:
        stood = 0.0
        if name == "limit-lifted" and before is not None and before.limit is not None:
            stood = time - before.limit.ordered_at
            self._stood[case.host, case.tenant].append((before.limit.ordered_at, time))
        event = Event(
            time=round(time),
            host=case.host,
            tenant=case.tenant,
            resource=case.resource,
            event=name,
            ratio=round(self._ratios.get(case.id, case.verdict.ratio), 3),
            reason=reason,
        )
        self._events.add(
            event,
            case.id,
            limited_seconds=stood,
            evidence=case.verdict if name == "case-opened" else None,
        )

    def _circumstances(self, case: Case, now: float) -> Circumstances:
        return Circumstances(
            mode="enforce",
            limits_on_host=self._book.limits_on(case.host),
            limits_in_fleet=self._book.limits(),
            limited_seconds=self._limited_seconds(case, now),
        )

    def _limited_seconds(self, case: Case, now: float) -> float:
        """How long the tenant was limited on the host in the last day; older limits are dropped."""
        since = now - limiting.DAY_SECONDS
        stood = [each for each in self._stood[case.host, case.tenant] if each[1] > since]
        self._stood[case.host, case.tenant] = stood
        return sum(until - max(since, begun) for begun, until in stood)


def happened(done: Step, before: Case | None) -> Iterator[tuple[EventName, float, str]]:
    """What a step means in a backtest's words, with when and why."""
    case = done.case
    if not done.entries:
        return
    at, text = done.entries[-1].at, done.entries[-1].text
    if before is None:
        yield "case-opened", at, text
        return
    if case.notice_accepted_at is not None and before.notice_accepted_at is None:
        yield "notice-sent", at, text
    if case.limit is not None and case.limit.confirmed_at != (
        before.limit.confirmed_at if before.limit else None
    ):
        yield "limit-applied", at, text
    if before.limit is not None and case.limit is None:
        yield "limit-lifted", at, text
    if case.state == "closed":
        yield "case-closed", at, text


def backtest(
    trace: Trace, policies: Sequence[tuple[Policy, EventStore]]
) -> Iterator[IntervalBatch]:
    """Play the trace through each policy in one reading; yields each batch once it is played."""
    replays = [Replay(policy, events) for policy, events in policies]
    measurer = Measurer(trace)
    for batch in trace.intervals():
        measured, hosts = measurer.measure(batch)
        for replay in replays:
            replay.take(measured, hosts)
        yield batch
    for replay in replays:
        replay.end()
