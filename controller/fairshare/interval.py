"""Measured intervals, judged: who is harmed, and whose use counts against them.

A judged interval is kept in a compact form for as long as the window reaches back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.fairshare.entitlement import Entitlements
from controller.fairshare.evidence import Sample
from controller.fairshare.figures import Floats
from controller.fairshare.measured import ROW, Integers, Measured
from controller.fairshare.policy import Rule
from controller.fairshare.rule import (
    DISPROPORTIONATE,
    Columns,
    contention_levels,
    findings,
    is_contended,
    is_over,
)
from fairuse_protocol.messages import RESOURCES, Resource


@dataclass(frozen=True, slots=True)
class Contention:
    """What every tenant's sample of a contended interval shares."""

    harmed: Mapping[int, float]
    """Index of each harmed neighbour, and its share of the interval spent waiting."""
    waiting_sum: float
    total_excess: float
    """Everything used over fair share, by all tenants."""
    causes: int
    """How many tenants were over, and had as much part in it as the policy asks for."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One judged interval, as compact as the window needs it. Resources in the order of ROW."""

    ended_at: float
    seconds: float
    tenants: tuple[str, ...]
    weights: Floats
    weight_sum: float
    used: Floats
    capacities: Floats
    capacity_known: NDArray[np.bool_]
    host_waiting: Floats
    utilisation: Floats
    near_peak: Floats
    disk_bytes_per_second: float
    disk_operations_per_second: float
    """What a disk share of 1 stands for; NaN where only the other one is known."""
    entitlements: Entitlements | None
    contentions: Mapping[Resource, Contention]
    counting: frozenset[tuple[Resource, str]]
    """The tenants whose use of a resource counts against them in this interval."""
    _samples: dict[tuple[Resource, int], Sample] = field(default_factory=dict)
    """Those that were asked for: an open case asks for the same ones with every report."""

    def fair_share(self, resource: Resource, index: int) -> float:
        """Capacity x weight / sum of the weights of the tenants present, or what was agreed."""
        capacity = self.capacities[ROW[resource]]
        fair_share = float(capacity * self.weights[index] / self.weight_sum)
        if self.entitlements is None:
            return fair_share
        return max(fair_share, float(self.entitlements.agreed_share(resource, index) * capacity))

    def sample(self, resource: Resource, index: int) -> Sample:
        """This interval as it concerns one tenant and resource."""
        known = self._samples.get((resource, index))
        if known is None:
            known = self._samples[resource, index] = self._sample(resource, index)
        return known

    def _sample(self, resource: Resource, index: int) -> Sample:
        row = ROW[resource]
        fair_share = self.fair_share(resource, index)
        used = float(self.used[row, index])
        contention = self.contentions.get(resource, _NO_CONTENTION)
        harmed = len(contention.harmed) - (index in contention.harmed)
        waiting = contention.waiting_sum - contention.harmed.get(index, 0.0)
        excess = max(0.0, used - fair_share)
        total = contention.total_excess
        return Sample(
            ended_at=self.ended_at,
            seconds=self.seconds,
            used=used,
            fair_share=fair_share,
            capacity=float(self.capacities[row]),
            host_waiting=_or_none(self.host_waiting[row]),
            utilisation=_or_none(self.utilisation[row]),
            near_peak=float(self.near_peak[row]),
            neighbours=len(self.tenants) - 1,
            neighbours_harmed=harmed,
            neighbours_waiting=waiting / harmed if harmed else 0.0,
            cause_share=excess / total if total else 0.0,
            causes=contention.causes,
            capacity_known=bool(self.capacity_known[row]),
            exempt=(
                "none"
                if self.entitlements is None
                else self.entitlements.exemption(resource, index)
            ),
            agreed_share=(
                0.0
                if self.entitlements is None
                else self.entitlements.agreed_share(resource, index)
            ),
        )


_NO_CONTENTION = Contention(harmed={}, waiting_sum=0.0, total_excess=0.0, causes=0)


def judge(
    measured: Measured, rule: Rule, entitlements: Entitlements | None = None
) -> list[Interval]:
    """Judge every interval of a table, which may have none; `entitlements` are what agreements add,
    row by row."""
    if not len(measured.spans.seconds):
        return []
    contentions: list[dict[Resource, Contention]] = [{} for _ in measured.spans.seconds]
    counting: list[set[tuple[Resource, str]]] = [set() for _ in measured.spans.seconds]
    if len(measured.weights):
        contended = (measured.capacity > 0) & is_contended(
            measured.host_waiting,
            measured.utilisation,
            measured.near_peak,
            contention_levels(rule),
        )
        for row in np.flatnonzero(contended.any(axis=1)).tolist():
            chosen = np.flatnonzero(contended[row])
            found = _Contended(measured, RESOURCES[row], chosen, entitlements)
            found.judge(rule, contentions, counting)
    return _intervals(measured, entitlements, contentions, counting)


class _Contended:
    """The contended intervals of one resource, out of a table, as a table of their own."""

    def __init__(
        self,
        measured: Measured,
        resource: Resource,
        chosen: Integers,
        entitlements: Entitlements | None,
    ) -> None:
        spans, row = measured.spans, ROW[resource]
        self.spans, self.resource, self.chosen = spans, resource, chosen
        bounds = np.append(spans.starts, len(measured.weights))
        counts = np.diff(bounds)[chosen]
        self.ends = np.cumsum(counts)
        self.starts = self.ends - counts
        within = np.repeat(np.arange(len(chosen)), counts)
        self.rows = np.arange(self.ends[-1]) - self.starts[within] + spans.starts[chosen][within]
        self.within = within
        self.capacity = measured.capacity[row, chosen][within]
        weights = measured.weights[self.rows]
        self.fair_share = self.capacity * weights / self._sums(weights)[within]
        self.exempt = np.zeros(len(self.rows), np.int8)
        if entitlements is not None:
            agreed = entitlements.share[row, self.rows] * self.capacity
            self.fair_share = np.maximum(self.fair_share, agreed)
            self.exempt = entitlements.exempt[row, self.rows]
        self.used = measured.used[row, self.rows]
        self.waiting = measured.waiting[row, self.rows]
        self.host_waiting = measured.host_waiting[row, chosen][within]
        self.utilisation = measured.utilisation[row, chosen][within]
        self.near_peak = measured.near_peak[row, chosen][within]
        self.neighbours = (counts - 1)[within]

    def judge(
        self,
        rule: Rule,
        contentions: list[dict[Resource, Contention]],
        counting: list[set[tuple[Resource, str]]],
    ) -> None:
        """Find the harmed and the causes, and enter them by interval."""
        thresholds = rule.thresholds(self.resource)
        harmed = (self.used <= self.fair_share) & (self.waiting >= thresholds.harmed_waiting)
        if self.resource in ("net-in", "net-out"):
            # Where the uplink's waiting stands for everybody's, who sends nothing waits not.
            harmed &= self.used > 0
        excess = np.maximum(0.0, self.used - self.fair_share)
        total_excess = self._sums(excess)
        harmed_counts = self._sums(harmed)
        with np.errstate(divide="ignore", invalid="ignore"):
            cause_share = np.nan_to_num(excess / total_excess[self.within])
        columns = Columns(
            used=self.used,
            fair_share=self.fair_share,
            capacity=self.capacity,
            host_waiting=self.host_waiting,
            utilisation=self.utilisation,
            near_peak=self.near_peak,
            neighbours=self.neighbours,
            neighbours_harmed=harmed_counts[self.within] - harmed,
            cause_share=cause_share,
            exempt=self.exempt,
        )
        is_cause = is_over(columns, rule) & (cause_share >= rule.cause_share)
        causes = self._sums(is_cause)
        for place, contention in enumerate(self._contentions(harmed, total_excess, causes)):
            contentions[int(self.chosen[place])][self.resource] = contention
        for found in np.flatnonzero(findings(columns, rule, thresholds) == DISPROPORTIONATE):
            place = int(self.within[found])
            index = int(self.chosen[place])
            tenant = self.spans.tenants[index][int(found) - int(self.starts[place])]
            counting[index].add((self.resource, tenant))

    def _contentions(
        self, harmed: NDArray[np.bool_], total_excess: Floats, causes: Floats
    ) -> Iterator[Contention]:
        """What every tenant's sample shares, of each interval in turn."""
        harmed_rows = np.flatnonzero(harmed)
        first_harmed = np.searchsorted(harmed_rows, self.starts)
        last_harmed = np.searchsorted(harmed_rows, self.ends)
        for place in range(len(self.chosen)):
            rows = harmed_rows[first_harmed[place] : last_harmed[place]]
            waiting = self.waiting[rows].tolist()
            yield Contention(
                harmed=dict(zip((rows - self.starts[place]).tolist(), waiting, strict=True)),
                waiting_sum=sum(waiting),
                total_excess=float(total_excess[place]),
                causes=int(causes[place]),
            )

    def _sums(self, values: Floats) -> Floats:
        """By interval."""
        return np.add.reduceat(values.astype(np.float64), self.starts)


def _intervals(
    measured: Measured,
    entitlements: Entitlements | None,
    contentions: list[dict[Resource, Contention]],
    counting: list[set[tuple[Resource, str]]],
) -> list[Interval]:
    spans = measured.spans
    first = spans.starts.tolist()
    last = [*first[1:], len(measured.weights)]
    weight_sums = (
        np.add.reduceat(measured.weights, spans.starts).tolist() if len(measured.weights) else [0.0]
    )
    return [
        Interval(
            ended_at=ended_at,
            seconds=seconds,
            tenants=tenants,
            # Copies: a part of a table would keep all of it.
            weights=measured.weights[begin:end].copy(),
            weight_sum=weight_sum,
            used=measured.used[:, begin:end].copy(),
            capacities=measured.capacity[:, index].copy(),
            capacity_known=measured.capacity_known[:, index].copy(),
            host_waiting=measured.host_waiting[:, index].copy(),
            utilisation=measured.utilisation[:, index].copy(),
            near_peak=measured.near_peak[:, index].copy(),
            disk_bytes_per_second=float(measured.disk_bytes_per_second[index]),
            disk_operations_per_second=float(measured.disk_operations_per_second[index]),
            entitlements=None if entitlements is None else entitlements.of_rows(begin, end),
            contentions=contentions[index],
            counting=frozenset(counting[index]),
        )
        for index, (ended_at, seconds, tenants, begin, end, weight_sum) in enumerate(
            zip(
                spans.ended_at.tolist(),
                spans.seconds.tolist(),
                spans.tenants,
                first,
                last,
                weight_sums,
                strict=True,
            )
        )
    ]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
