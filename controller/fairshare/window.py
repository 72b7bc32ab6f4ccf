"""A host's last intervals: a cache over the stored reports, cheap to extend and to ask."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator

from controller.fairshare.evidence import Sample, Verdict
from controller.fairshare.interval import Interval
from controller.fairshare.policy import Rule
from controller.fairshare.rule import decide
from fairuse_protocol.messages import Resource


class Window:
    """The judged intervals of one host that the rule still looks at, oldest first."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._intervals: list[Interval] = []
        self._counted_seconds: defaultdict[tuple[Resource, str], float] = defaultdict(float)

    def __len__(self) -> int:
        return len(self._intervals)

    @property
    def latest(self) -> Interval | None:
        """The newest interval."""
        return self._intervals[-1] if self._intervals else None

    def add(self, interval: Interval) -> None:
        """Take an interval in, once; late ones find their place by time."""
        if self._intervals and interval.ended_at <= self._intervals[-1].ended_at:
            if any(kept.ended_at == interval.ended_at for kept in self._intervals):
                return
            insort(self._intervals, interval, key=lambda kept: kept.ended_at)
        else:
            self._intervals.append(interval)
        for key in interval.counting:
            self._counted_seconds[key] += interval.seconds

    def forget_before(self, now: float) -> None:
        """Drop what the window that ends `now` no longer reaches."""
        window_start = now - self._rule.window
        kept = 0
        while kept < len(self._intervals) and self._intervals[kept].ended_at <= window_start:
            kept += 1
        for interval in self._intervals[:kept]:
            for key in interval.counting:
                self._counted_seconds[key] -= interval.seconds
                if self._counted_seconds[key] <= 1e-9:
                    del self._counted_seconds[key]
        del self._intervals[:kept]

    @property
    def anyone_counted(self) -> bool:
        """Whether any interval of the window counts against anybody."""
        return bool(self._counted_seconds)

    def suspects(self) -> list[tuple[Resource, str]]:
        """Who may be disproportionate, in a stable order: a verdict is worth working out for these.

        No verdict needs less counted time than `for_share` of the least that has to be measured.
        """
        least = self._rule.for_share * self._rule.measured_share * self._rule.window
        return sorted(key for key, seconds in self._counted_seconds.items() if seconds >= least)

    def verdict(
        self,
        resource: Resource,
        tenant: str,
        *,
        now: float,
        since: float = 0.0,
        usual_used: float | None = None,
    ) -> Verdict:
        """The rule's verdict on one tenant and resource, from intervals that began at `since`."""
        samples = [
            sample
            for sample in self._samples(resource, tenant)
            if sample.ended_at - sample.seconds >= since
        ]
        return decide(samples, resource, self._rule, now=now, usual_used=usual_used)

    def _samples(self, resource: Resource, tenant: str) -> Iterator[Sample]:
        for interval in self._intervals:
            if tenant in interval.tenants:
                yield interval.sample(resource, interval.tenants.index(tenant))
