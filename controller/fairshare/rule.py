"""The disproportionate-share rule itself: one interval's finding, and the window's verdict.

Pure: the same samples, rule and time give the same answer, which is how a decision is replayed
from the evidence that was kept with it. Findings are worked out by the column, for one interval
or for a million.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.fairshare.evidence import EXEMPTIONS, OUTCOMES, Outcome, Sample, Verdict
from controller.fairshare.policy import SEVERITIES, Rule, Severities, Severity, Thresholds
from fairuse_protocol.messages import RESOURCES, Resource

CLOCK_SKEW_SECONDS = 300.0
"""What a host's clock may run ahead of the controller's; later intervals are not of this window."""
AT_PEAK = 0.95
"""Of the most that a host was seen to deliver: a saturated resource stays within a few percent."""
DISPROPORTIONATE = OUTCOMES.index("disproportionate")
_SPARED = [OUTCOMES.index("agreed"), OUTCOMES.index("consented-test")]
"""Would have counted, but for what was agreed."""

_Floats = NDArray[np.float64]
_Booleans = NDArray[np.bool_]


class ContentionLevels(NamedTuple):
    """The thresholds of contention, of one resource or, as columns, of all four."""

    waiting: float | _Floats
    utilisation: float | _Floats
    busy_floor: float | _Floats


class Columns(NamedTuple):
    """Samples (see evidence.py) as arrays of one length; what is not known is NaN."""

    used: _Floats
    fair_share: _Floats
    capacity: _Floats
    host_waiting: _Floats
    utilisation: _Floats
    near_peak: _Floats
    neighbours: NDArray[np.number]
    neighbours_harmed: NDArray[np.number]
    cause_share: _Floats
    exempt: NDArray[np.int8]
    """Indices into EXEMPTIONS."""


def is_contended(
    host_waiting: _Floats, utilisation: _Floats, near_peak: _Floats, levels: ContentionLevels
) -> _Booleans:
    """Whether the host as a whole is short of a resource, by its use or by its pressure.

    Pressure counts where the host delivers about as much as it ever did. A host that is known to
    have room, or that has done more before, is not short: its pressure has another cause, such as
    a quota of the waiting tenant's own, a pinned processor, or storage that is somewhere else.
    """
    has_room = (utilisation < levels.busy_floor) | (near_peak < AT_PEAK)
    return ((host_waiting >= levels.waiting) & ~has_room) | (utilisation >= levels.utilisation)


@lru_cache(maxsize=64)
def contention_levels(rule: Rule) -> ContentionLevels:
    """Those of all resources, as columns in the order of RESOURCES."""
    levels = [_levels(rule.thresholds(resource)) for resource in RESOURCES]
    return ContentionLevels(*np.array(levels).T[:, :, None])


def _levels(thresholds: Thresholds) -> ContentionLevels:
    return ContentionLevels(
        thresholds.contended_waiting, thresholds.contended_utilisation, thresholds.busy_floor
    )


def is_over(columns: Columns, rule: Rule) -> _Booleans:
    """Whether the use is far over the fair share, and no trifle."""
    return (
        (columns.used > columns.fair_share)
        & (columns.used >= rule.ratio * columns.fair_share)
        & (columns.used >= rule.min_share * columns.capacity)
    )


def findings(columns: Columns, rule: Rule, thresholds: Thresholds) -> NDArray[np.int8]:
    """What each interval says of its tenant, as indices into OUTCOMES.

    "disproportionate" counts against it; the first limb that does not hold gives another name.
    """
    over, harm = is_over(columns, rule), columns.neighbours_harmed > 0
    beyond_share = columns.used > columns.fair_share
    match rule.requires:
        case "both":
            beyond_share = over
        case "interference":
            pass
        case "share":
            beyond_share, harm = over, columns.neighbours > 0
        case "either":
            beyond_share = over | (beyond_share & harm)
            harm = harm | (columns.neighbours > 0)
    named: list[tuple[_Booleans, Outcome]] = [
        (
            ~is_contended(
                columns.host_waiting, columns.utilisation, columns.near_peak, _levels(thresholds)
            ),
            "not-contended",
        ),
        (~beyond_share, "within-share"),
        (~harm, "nobody-harmed"),
        (columns.cause_share < rule.cause_share, "not-the-cause"),
        (columns.exempt == EXEMPTIONS.index("agreed"), "agreed"),
        (columns.exempt == EXEMPTIONS.index("consented-test"), "consented-test"),
    ]
    return np.select(
        [limb for limb, _ in named],
        [np.int8(OUTCOMES.index(outcome)) for _, outcome in named],
        np.int8(DISPROPORTIONATE),
    )


def classify(sample: Sample, rule: Rule, thresholds: Thresholds) -> Outcome:
    """What one interval says of one tenant."""
    return OUTCOMES[int(findings(_columns([sample]), rule, thresholds)[0])]


def decide(
    samples: Sequence[Sample],
    resource: Resource,
    rule: Rule,
    *,
    now: float,
    usual_used: float | None = None,
) -> Verdict:
    """The verdict on one tenant and resource from its samples of the window that ends `now`.

    Time is measured in seconds of measured intervals: a missing interval is neither use nor rest.
    """
    window_start = now - rule.window
    kept = tuple([s for s in samples if window_start < s.ended_at <= now + CLOCK_SKEW_SECONDS])
    columns = _columns(kept)
    found = findings(columns, rule, rule.thresholds(resource))
    seconds = np.array([min(s.seconds, s.ended_at - window_start) for s in kept])
    counted = found == DISPROPORTIONATE
    return _verdict(
        _outcome(found, seconds, counted, rule),
        resource,
        rule,
        now,
        kept,
        columns,
        seconds,
        counted,
        usual_used,
    )


def severity_of(verdict: Verdict, severities: Severities) -> Severity:
    """How many neighbours are harmed, and how badly: the worst step that is reached in both."""
    harmed_share = verdict.neighbours_harmed / verdict.neighbours if verdict.neighbours else 0.0
    reached: Severity = "low"
    for severity in SEVERITIES:
        step = severities.step(severity)
        if harmed_share >= step.harmed_share and verdict.neighbours_waiting >= step.waiting:
            reached = severity
    return reached


def _columns(samples: Sequence[Sample]) -> Columns:
    nan = math.nan
    return Columns(
        used=np.array([s.used for s in samples]),
        fair_share=np.array([s.fair_share for s in samples]),
        capacity=np.array([s.capacity for s in samples]),
        host_waiting=np.array([nan if s.host_waiting is None else s.host_waiting for s in samples]),
        utilisation=np.array([nan if s.utilisation is None else s.utilisation for s in samples]),
        near_peak=np.array([s.near_peak for s in samples]),
        neighbours=np.array([s.neighbours for s in samples]),
        neighbours_harmed=np.array([s.neighbours_harmed for s in samples]),
        cause_share=np.array([s.cause_share for s in samples]),
        exempt=np.array([EXEMPTIONS.index(s.exempt) for s in samples], np.int8),
    )


def _outcome(found: NDArray[np.int8], seconds: _Floats, counted: _Booleans, rule: Rule) -> Outcome:
    measured_seconds = seconds.sum()
    if measured_seconds < rule.measured_share * rule.window or measured_seconds <= 0:
        return "not-measured"
    counted_seconds = seconds[counted].sum()
    if counted_seconds >= rule.for_share * measured_seconds and counted_seconds > 0:
        return "disproportionate"
    by_finding = np.bincount(found, weights=seconds, minlength=len(OUTCOMES))
    spared_seconds = by_finding[_SPARED]
    would_count = counted_seconds + spared_seconds.sum() >= rule.for_share * measured_seconds
    if would_count and spared_seconds.sum() > counted_seconds:
        return OUTCOMES[_SPARED[int(spared_seconds.argmax())]]
    if counted_seconds > 0:
        return "not-sustained"
    return OUTCOMES[int(by_finding.argmax())]


def _verdict(
    outcome: Outcome,
    resource: Resource,
    rule: Rule,
    now: float,
    samples: tuple[Sample, ...],
    columns: Columns,
    seconds: _Floats,
    counted: _Booleans,
    usual_used: float | None,
) -> Verdict:
    counted_seconds = seconds * counted
    used, fair_share = _mean(columns.used, seconds), _mean(columns.fair_share, seconds)
    in_use_known = ~np.isnan(columns.utilisation)
    return Verdict(
        outcome=outcome,
        resource=resource,
        decided_at=now,
        window_seconds=float(rule.window),
        measured_seconds=float(seconds.sum()),
        counted_seconds=float(counted_seconds.sum()),
        average_used=used,
        average_fair_share=fair_share,
        capacity=_mean(columns.capacity, seconds),
        ratio=used / fair_share if fair_share else 0.0,
        neighbours=round(_mean(columns.neighbours, counted_seconds)),
        neighbours_harmed=round(_mean(columns.neighbours_harmed, counted_seconds)),
        neighbours_waiting=_mean(
            np.array([sample.neighbours_waiting for sample in samples]), counted_seconds
        ),
        samples=samples,
        utilisation=(
            _mean(np.nan_to_num(columns.utilisation), seconds * in_use_known)
            if in_use_known.any()
            else None
        ),
        causes=max(1, round(_mean(np.array([s.causes for s in samples]), counted_seconds))),
        capacity_known=all(sample.capacity_known for sample in samples),
        usual_used=usual_used,
    )


def _mean(values: NDArray[np.number], seconds: _Floats) -> float:
    """Weighted by time; 0 of no time at all."""
    total = seconds.sum()
    return float((values * seconds).sum() / total) if total else 0.0
