"""The hosts as their reports show them: the window of each, and its last interval.

A cache over the stored reports: a host that is met for the first time since the start has its
window rebuilt from the store.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from controller.cases.agreements import AgreementBook
from controller.cases.review import Scene
from controller.cases.viewing import host_view
from controller.cases.views import HostView
from controller.fairshare.interval import Interval, judge
from controller.fairshare.measured import Measured, measure
from controller.fairshare.policy import Rule
from controller.fairshare.window import Window
from controller.storage import reports
from controller.storage.database import Database
from fairuse_protocol.reports import Report, decode_report


@dataclass(frozen=True, slots=True)
class Seen:
    """A report, measured and judged: a tenth of its size, while it waits to be stored.

    `report` is without its tenants, whose figures `measured` has.
    """

    report: Report
    measured: Measured
    interval: Interval


def see(report: Report, rule: Rule, agreements: AgreementBook) -> Seen:
    """Measure and judge a report. Done at once, while it is still in the processor's cache."""
    measured = measure(report)
    interval = _judged(report.host, measured, rule, agreements)
    return Seen(msgspec.structs.replace(report, tenants=()), measured, interval)


def _judged(host: str, measured: Measured, rule: Rule, agreements: AgreementBook) -> Interval:
    (tenants,) = measured.spans.tenants
    agreed = agreements.entitlements(host, tenants, measured.ended_at)
    (interval,) = judge(measured, rule, agreed)
    return interval


@dataclass(slots=True)
class Host:
    """One host's window and newest report, without its tenants."""

    window: Window
    report: Report
    measured: Measured
    newest: Interval
    silent_seconds: float = 0.0
    """What was not measured between the newest interval and the one before it."""

    def scene(self) -> Scene:
        """What a case on this host is looked at with."""
        return Scene(self.newest, self.silent_seconds, self.report.limiter)


class Hosts:
    """All hosts that have reported since the start."""

    def __init__(self, database: Database, rule: Rule, agreements: AgreementBook) -> None:
        self._database = database
        self._rule = rule
        self._agreements = agreements
        self._hosts: dict[str, Host] = {}

    async def take(self, seen: Seen, *, now: float) -> Host:
        """Take in a report that is stored, and return its host with the window up to `now`."""
        report, measured = seen.report, seen.measured
        host = self._hosts.get(report.host)
        if host is None:
            host = Host(await self._rebuilt(report.host, now), report, measured, seen.interval)
            # Another report of this host may have come in while the store was read.
            host = self._hosts.setdefault(report.host, host)
        host.window.add(seen.interval)
        if measured.ended_at >= host.measured.ended_at:
            began_at = report.started_at
            host.silent_seconds = max(0.0, began_at - host.measured.ended_at)
            host.report, host.measured, host.newest = report, measured, seen.interval
        host.window.forget_before(now)
        return host

    def get(self, name: str) -> Host | None:
        """One host, if it has reported since the start."""
        return self._hosts.get(name)

    def views(self) -> tuple[HostView, ...]:
        """All hosts, by name."""
        return tuple(
            host_view(host.report, host.measured, host.newest)
            for _, host in sorted(self._hosts.items())
        )

    async def _rebuilt(self, name: str, now: float) -> Window:
        async with self._database.read() as connection:
            bodies = await reports.since(connection, name, now - self._rule.window)
        window = Window(self._rule)
        for body in bodies:
            measured = measure(decode_report(body))
            window.add(_judged(name, measured, self._rule, self._agreements))
        return window
