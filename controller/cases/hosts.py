"""The hosts as their reports show them: the window of each, and its last interval.

A cache over the stored reports: a host that is met for the first time since the start has its
window rebuilt from the store.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from controller.cases.agreements import AgreementBook
from controller.cases.policies import PolicyChoice, policies_on
from controller.cases.review import Scene
from controller.cases.viewing import host_view
from controller.cases.views import HostView
from controller.fairshare.interval import Interval, judge
from controller.fairshare.measured import Measured, delivered_rates, measure
from controller.fairshare.peaks import Peaks, follow, no_peaks
from controller.fairshare.policy import Policy
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
    peaks: Peaks
    """The most that the host has been seen to deliver, this interval included."""
    intervals: tuple[tuple[Policy, Interval], ...]
    """As each policy that any of its tenants has judges it; the first is as good as any for what
    policies agree on."""


@dataclass(slots=True)
class Look:
    """One host as one policy sees it."""

    policy: Policy
    window: Window
    newest: Interval


@dataclass(slots=True)
class Host:
    """One host's windows and newest report, without its tenants."""

    looks: list[Look]
    report: Report
    measured: Measured
    silent_seconds: float = 0.0
    """What was not measured between the newest interval and the one before it."""

    def look(self, policy: Policy) -> Look | None:
        """What this policy sees; None when nobody there had it when the host last reported."""
        return next((look for look in self.looks if look.policy is policy), None)

    def scene(self, look: Look) -> Scene:
        """What a case on this host is looked at with."""
        return Scene(look.newest, self.silent_seconds, self.report.limiter)


class Hosts:
    """All hosts that have reported since the start."""

    def __init__(
        self, database: Database, policies: PolicyChoice, agreements: AgreementBook
    ) -> None:
        self._database = database
        self._policies = policies
        self._agreements = agreements
        self._hosts: dict[str, Host] = {}
        self._peaks: dict[str, Peaks] = {}

    def see(self, report: Report) -> Seen:
        """Measure and judge a report. Done at once, while it is still in the processor's cache."""
        delivered, ended_at = delivered_rates(report), report.started_at + report.seconds
        before = self._peaks.get(report.host) or no_peaks(ended_at)
        # A late report fades nothing.
        peaks, peaks_after = follow(before, delivered, np.array([max(ended_at, before.at)]))
        measured = measure(report, delivered, peaks)
        (tenants,) = measured.spans.tenants
        return Seen(
            msgspec.structs.replace(report, tenants=()),
            measured,
            peaks_after,
            tuple(
                (policy, self._judged(report.host, measured, policy))
                for policy in policies_on(self._policies, report.host, tenants)
            ),
        )

    async def take(self, seen: Seen, *, now: float) -> Host:
        """Take in a report that is stored, and return its host with the windows up to `now`."""
        report, measured = seen.report, seen.measured
        looks = [
            Look(policy, await self._window(report.host, policy, now), interval)
            for policy, interval in seen.intervals
        ]
        self._peaks[report.host] = seen.peaks
        host = self._hosts.setdefault(report.host, Host(looks, report, measured))
        for look, (_, interval) in zip(looks, seen.intervals, strict=True):
            look.window.add(interval)
            look.window.forget_before(now)
        if measured.ended_at >= host.measured.ended_at:
            host.silent_seconds = max(0.0, report.started_at - host.measured.ended_at)
            host.report, host.measured, host.looks = report, measured, looks
        return host

    def get(self, name: str) -> Host | None:
        """One host, if it has reported since the start."""
        return self._hosts.get(name)

    def views(self) -> tuple[HostView, ...]:
        """All hosts, by name."""
        return tuple(
            host_view(host.report, host.measured, host.looks[0].newest)
            for _, host in sorted(self._hosts.items())
        )

    def _judged(self, host: str, measured: Measured, policy: Policy) -> Interval:
        (tenants,) = measured.spans.tenants
        agreed = self._agreements.entitlements(host, tenants, measured.ended_at)
        (interval,) = judge(measured, policy.rule, agreed)
        return interval

    async def _window(self, name: str, policy: Policy, now: float) -> Window:
        """The host's window under this policy, out of the store where there is none yet."""
        known = self._hosts.get(name)
        look = known.look(policy) if known is not None else None
        if look is not None:
            return look.window
        async with self._database.read() as connection:
            bodies = await reports.since(connection, name, now - policy.rule.window)
        window = Window(policy.rule)
        for body in bodies:
            window.add(self._judged(name, measure(decode_report(body)), policy))
        return window
