"""The hosts as their reports show them: the window of each, and its last interval.

A cache over the stored reports: a host that is met for the first time since the start has its
window rebuilt from the store.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.cases.judging import Judging, Seen
from controller.cases.review import Scene
from controller.cases.viewing import host_view
from controller.cases.views import HostView
from controller.fairshare.figures import Figures, Floats, gather
from controller.fairshare.interval import Interval
from controller.fairshare.measured import measure
from controller.fairshare.policy import Policy
from controller.fairshare.window import Window
from controller.storage import reports
from controller.storage.database import Database
from fairuse_protocol.reports import Report, decode_report


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
    figures: Figures
    peaks: Floats
    """The most that was delivered before the newest interval."""
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

    def __init__(self, database: Database, judging: Judging) -> None:
        self._database = database
        self._judging = judging
        self._hosts: dict[str, Host] = {}

    async def take(self, seen: Seen, *, now: float) -> Host:
        """Take in a report that is stored, and return its host with the windows up to `now`."""
        peaks = self._judging.take(seen)
        report, figures = seen.report, seen.figures
        looks = [
            Look(policy, await self._window(report.host, policy, now), interval)
            for policy, interval in seen.intervals
        ]
        host = self._hosts.setdefault(report.host, Host(looks, report, figures, peaks))
        for look, (_, interval) in zip(looks, seen.intervals, strict=True):
            look.window.add(interval)
            look.window.forget_before(now)
        if figures.ended_at >= host.figures.ended_at:
            host.silent_seconds = max(0.0, report.started_at - host.figures.ended_at)
            host.report, host.figures, host.peaks, host.looks = report, figures, peaks, looks
        return host

    def get(self, name: str) -> Host | None:
        """One host, if it has reported since the start."""
        return self._hosts.get(name)

    def views(self) -> tuple[HostView, ...]:
        """All hosts, by name."""
        return tuple(
            host_view(
                host.report,
                measure([host.figures], host.peaks[:, None]),
                host.looks[0].newest,
            )
            for _, host in sorted(self._hosts.items())
        )

    async def _window(self, name: str, policy: Policy, now: float) -> Window:
        """The host's window under this policy, out of the store where there is none yet."""
        known = self._hosts.get(name)
        look = known.look(policy) if known is not None else None
        if look is not None:
            return look.window
        async with self._database.read() as connection:
            bodies = await reports.since(connection, name, now - policy.rule.window)
        window = Window(policy.rule)
        stored = [(name, gather(decode_report(body))) for body in bodies]
        for interval in self._judging.judge(stored, policy):
            window.add(interval)
        return window
