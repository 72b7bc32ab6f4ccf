"""How well somebody's cases fit a trace's labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from controller.backtest.labels import NATURAL, Label
from fairuse_protocol.messages import Resource

GRACE_SECONDS = 25 * 60
"""A window may look back so far: a case that opens this long after the trouble is about it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A case that a rule opened, and when it ended."""

    host: str
    tenant: str
    resource: Resource
    at: float
    until: float


@dataclass(slots=True)
class Score:
    """Counts over one or more traces."""

    true_cases: int = 0
    false_cases: int = 0
    unjudged_cases: int = 0
    """Those that opened in an ambiguous stretch and in no true one: neither true nor false."""
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    missed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    false_kinds: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """False cases, by the kind of innocent episode that they fell on; "" on none."""
    seconds_to_detect: list[float] = field(default_factory=list)
    innocent_tenant_days: float = 0.0
    limited_minutes: float = 0.0

    @property
    def precision(self) -> float:
        """Of the cases, those about true trouble; 1 where there were none."""
        cases = self.true_cases + self.false_cases
        return self.true_cases / cases if cases else 1.0

    @property
    def recall(self) -> float:
        """Of the injected true stretches, of whatever kind, those with a case."""
        return self._recall([kind for kind in self.kinds if kind != NATURAL])

    def recall_of(self, kind: str) -> float:
        """The same of one kind."""
        return self._recall([kind])

    @property
    def recall_of_natural(self) -> float:
        """The same of what the machines did by themselves."""
        return self._recall([NATURAL])

    @property
    def kinds(self) -> list[str]:
        """Of all true stretches."""
        return sorted({*self.found, *self.missed})

    def _recall(self, kinds: Sequence[str]) -> float:
        found = sum(self.found.get(kind, 0) for kind in kinds)
        missed = sum(self.missed.get(kind, 0) for kind in kinds)
        return found / (found + missed) if found + missed else 1.0

    @property
    def minutes_to_detect(self) -> float:
        """Median over the found stretches, from their beginning."""
        return median(self.seconds_to_detect) / 60 if self.seconds_to_detect else 0.0

    @property
    def false_per_1000_days(self) -> float:
        """False cases per 1,000 innocent tenant-days."""
        return 1000 * self.false_cases / max(self.innocent_tenant_days, 1e-9)

    @property
    def f1(self) -> float:
        """Precision and recall together."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def score(cases: Sequence[Opened], labels: Sequence[Label], tenant_days: float) -> Score:
    """Hold the cases against the labels of the same trace.

    A stretch is found when a case was open in it, or opened in the grace after it. A case is
    false when it opened outside of every true and every ambiguous stretch and their grace; one
    that opened in an ambiguous stretch counts neither way.
    """
    total = Score()
    labels_of, cases_of = _by_key(labels), _by_key(cases)
    guilty_seconds = 0.0
    for key in {**labels_of, **cases_of}:
        for label in labels_of[key]:
            if label.answer == "1":
                guilty_seconds += label.end - label.begin
                _look_for(label, cases_of[key], total)
        for case in cases_of[key]:
            _weigh(case, labels_of[key], total)
    total.innocent_tenant_days = tenant_days - guilty_seconds / 86400
    return total


def mistakes(
    cases: Sequence[Opened], labels: Sequence[Label]
) -> tuple[list[tuple[Opened, list[Label]]], list[Label]]:
    """The false cases, each with what else its host's labels say then, and the missed stretches."""
    labels_of, cases_of = _by_key(labels), _by_key(cases)
    false = [
        (case, [label for label in labels if label.host == case.host and _is_near(case, label)])
        for case in cases
        if not any(label.answer != "0" and _is_near(case, label) for label in labels_of[_key(case)])
    ]
    missed = [
        label
        for label in labels
        if label.answer == "1" and not _cases_about(label, cases_of[_key(label)])
    ]
    return false, missed


_Key = tuple[str, str, str]
_Keyed = TypeVar("_Keyed", Opened, Label)


def _key(one: Opened | Label) -> _Key:
    return one.host, one.tenant, one.resource


def _by_key(several: Sequence[_Keyed]) -> dict[_Key, list[_Keyed]]:
    by_key: dict[_Key, list[_Keyed]] = defaultdict(list)
    for one in several:
        by_key[_key(one)].append(one)
    return by_key


def _cases_about(label: Label, cases: Sequence[Opened]) -> list[Opened]:
    return [
        case for case in cases if case.at <= label.end + GRACE_SECONDS and case.until > label.begin
    ]


def _is_near(case: Opened, label: Label) -> bool:
    return label.begin <= case.at <= label.end + GRACE_SECONDS


def _look_for(label: Label, cases: Sequence[Opened], total: Score) -> None:
    about = _cases_about(label, cases)
    if not about:
        total.missed[label.kind] += 1
        return
    total.found[label.kind] += 1
    first = min(case.at for case in about)
    total.seconds_to_detect.append(max(0.0, first - label.begin))


def _weigh(case: Opened, labels: Sequence[Label], total: Score) -> None:
    near = [label for label in labels if _is_near(case, label)]
    if any(label.answer != "0" for label in near):
        is_true = any(label.answer == "1" for label in near)
        total.true_cases += is_true
        total.unjudged_cases += not is_true
        return
    total.false_cases += 1
    total.false_kinds[near[0].kind if near else ""] += 1


def add_up(scores: Sequence[Score]) -> Score:
    """One score over several traces."""
    total = Score()
    for one in scores:
        total.true_cases += one.true_cases
        total.false_cases += one.false_cases
        total.unjudged_cases += one.unjudged_cases
        total.seconds_to_detect += one.seconds_to_detect
        total.innocent_tenant_days += one.innocent_tenant_days
        total.limited_minutes += one.limited_minutes
        for name in ("found", "missed", "false_kinds"):
            for kind, count in getattr(one, name).items():
                getattr(total, name)[kind] += count
    return total
