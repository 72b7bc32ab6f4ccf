"""Reports judged as they come: those of the same moment in one table, which costs far less.

A report waits some milliseconds with others until it is stored. The first that is stored has all
of them judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from controller.cases.agreements import AgreementBook
from controller.cases.policies import PolicyChoice, policies_on
from controller.fairshare.figures import Figures, Floats, gather
from controller.fairshare.interval import Interval, judge
from controller.fairshare.measured import measure
from controller.fairshare.peaks import Peaks, faded, no_peaks
from controller.fairshare.policy import Policy
from fairuse_protocol.reports import Report

JUDGED_TOGETHER = 128
"""At the most, reports in one table: more share the cost of a table no better."""


@dataclass(slots=True)
class Seen:
    """A report while it waits to be stored, at a fraction of its size."""

    report: Report
    """Without its tenants, whose figures `figures` has."""
    figures: Figures
    waits_with: dict[str, Seen]
    """Those of the same moment, itself included, by host."""
    peaks: Floats | None = None
    """The most that the host was seen to deliver before, in the order of AMOUNTS; None until it
    is judged."""
    intervals: list[tuple[Policy, Interval]] = field(default_factory=list)
    """As each policy that any of its tenants has judges it; the first is as good as any for what
    policies agree on."""


class Judging:
    """Gathers reports and judges them, a moment's at a time."""

    def __init__(self, policies: PolicyChoice, agreements: AgreementBook) -> None:
        self._policies = policies
        self._agreements = agreements
        self._moment: dict[str, Seen] = {}
        self._peaks: dict[str, Peaks] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        """Of each host's tenants. They are mostly the same, and a window would keep them often."""

    def see(self, report: Report) -> Seen:
        """Gather what is needed of a report. Done at once, while it is in the processor's cache."""
        if report.host in self._moment or len(self._moment) >= JUDGED_TOGETHER:
            self._moment = {}
        figures = gather(report)
        names = self._names.setdefault(report.host, figures.tenants)
        if names == figures.tenants:
            figures = figures._replace(tenants=names)
        else:
            self._names[report.host] = figures.tenants
        seen = Seen(msgspec.structs.replace(report, tenants=()), figures, self._moment)
        self._moment[report.host] = seen
        return seen

    def take(self, seen: Seen) -> Floats:
        """Judge it with those of its moment, unless that is done; what it delivered counts from
        now on. Returns the most that was delivered before it: (5)."""
        host, figures, peaks = seen.report.host, seen.figures, seen.peaks
        if peaks is None:
            if seen.waits_with is self._moment:
                self._moment = {}
            peaks = self._judge_moment(seen.waits_with)[host]
        before = self._peaks.get(host)
        self._peaks[host] = Peaks(
            figures.ended_at if before is None else max(figures.ended_at, before.at),
            np.maximum(peaks, figures.delivered_rates),
        )
        return peaks

    def judge(
        self,
        reports: Sequence[tuple[str, Figures]],
        policy: Policy,
        peaks: Floats | None = None,
    ) -> list[Interval]:
        """Reports (the host of each, and its figures) as one policy judges them.

        `peaks` (5, m) is the most that was delivered before each. In one table, but for a host
        with an agreement or without tenants: those are few, and judged by themselves.
        """
        agreed = [
            self._agreements.entitlements(host, figures.tenants, figures.ended_at)
            for host, figures in reports
        ]
        alone = [
            place
            for place, (_, figures) in enumerate(reports)
            if agreed[place] is not None or not figures.tenants
        ]
        together = [place for place in range(len(reports)) if place not in alone]
        found: dict[int, Interval] = {}
        for places in (together, *([place] for place in alone)):
            if places:
                table = measure(
                    [reports[place][1] for place in places],
                    None if peaks is None else peaks[:, places],
                )
                intervals = judge(table, policy.rule, agreed[places[0]])
                found.update(zip(places, intervals, strict=True))
        return [found[place] for place in range(len(reports))]

    def _judge_moment(self, moment: dict[str, Seen]) -> dict[str, Floats]:
        """Returns each host's former peaks, which its report has from now on."""
        by_policy: dict[int, tuple[Policy, list[Seen]]] = {}
        peaks: dict[str, Floats] = {}
        for host, seen in moment.items():
            figures = seen.figures
            before = self._peaks.get(host) or no_peaks(figures.ended_at)
            seen.peaks = peaks[host] = faded(before, figures.ended_at)
            for policy in policies_on(self._policies, host, figures.tenants):
                by_policy.setdefault(id(policy), (policy, []))[1].append(seen)
        for policy, group in by_policy.values():
            before_each = np.array([peaks[seen.report.host] for seen in group]).T
            reports = [(seen.report.host, seen.figures) for seen in group]
            for seen, interval in zip(group, self.judge(reports, policy, before_each), strict=True):
                seen.intervals.append((policy, interval))
        return peaks
