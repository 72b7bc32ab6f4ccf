"""The disproportionate-share rule itself: one interval's finding, and the window's verdict.

Pure: the same samples, rule and time give the same answer, which is how a decision is replayed
from the evidence that was kept with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from controller.fairshare.evidence import Outcome, Sample, Verdict
from controller.fairshare.policy import SEVERITIES, Rule, Severities, Severity, Thresholds
from fairuse_protocol.messages import Resource

CLOCK_SKEW_SECONDS = 300.0
"""What a host's clock may run ahead of the controller's; later intervals are not of this window."""


def is_contended(host_waiting: float | None, utilisation: float, thresholds: Thresholds) -> bool:
    """Whether the host as a whole is short of the resource, by its pressure or its use."""
    return (
        host_waiting is not None and host_waiting >= thresholds.contended_waiting
    ) or utilisation >= thresholds.contended_utilisation


def classify(sample: Sample, rule: Rule, thresholds: Thresholds) -> Outcome:
    """What one interval says of one tenant; "disproportionate" counts against it.

    The first limb that does not hold gives the outcome its name.
    """
    if not is_contended(sample.host_waiting, sample.utilisation, thresholds):
        return "not-contended"
    if (
        sample.used <= sample.fair_share
        or sample.used < rule.ratio * sample.fair_share
        or sample.used < rule.min_share * sample.capacity
    ):
        return "within-share"
    if sample.neighbours_harmed == 0:
        return "nobody-harmed"
    if sample.cause_share < rule.cause_share:
        return "not-the-cause"
    return "disproportionate"


def decide(samples: Sequence[Sample], resource: Resource, rule: Rule, *, now: float) -> Verdict:
    """The verdict on one tenant and resource from its samples of the window that ends `now`.

    Time is measured in seconds of measured intervals: a missing interval is neither use nor rest.
    """
    window_start = now - rule.window
    thresholds = rule.thresholds(resource)
    weighed = [
        (sample, min(sample.seconds, sample.ended_at - window_start))
        for sample in samples
        if window_start < sample.ended_at <= now + CLOCK_SKEW_SECONDS
    ]
    seconds_by_finding: defaultdict[Outcome, float] = defaultdict(float)
    counted = []
    for sample, seconds in weighed:
        finding = classify(sample, rule, thresholds)
        seconds_by_finding[finding] += seconds
        if finding == "disproportionate":
            counted.append((sample, seconds))
    measured_seconds = sum(seconds_by_finding.values())
    return _verdict(
        _outcome(seconds_by_finding, measured_seconds, rule),
        resource,
        rule,
        now,
        weighed,
        counted,
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


def _outcome(
    seconds_by_finding: dict[Outcome, float], measured_seconds: float, rule: Rule
) -> Outcome:
    if measured_seconds < rule.measured_share * rule.window or measured_seconds <= 0:
        return "not-measured"
    counted_seconds = seconds_by_finding.get("disproportionate", 0.0)
    if counted_seconds >= rule.for_share * measured_seconds and counted_seconds > 0:
        return "disproportionate"
    if counted_seconds > 0:
        return "not-sustained"
    return max(seconds_by_finding, key=lambda finding: seconds_by_finding[finding])


def _verdict(
    outcome: Outcome,
    resource: Resource,
    rule: Rule,
    now: float,
    weighed: list[tuple[Sample, float]],
    counted: list[tuple[Sample, float]],
) -> Verdict:
    measured_seconds = sum(seconds for _, seconds in weighed)
    counted_seconds = sum(seconds for _, seconds in counted)
    used = _mean([(sample.used, seconds) for sample, seconds in weighed])
    fair_share = _mean([(sample.fair_share, seconds) for sample, seconds in weighed])
    return Verdict(
        outcome=outcome,
        resource=resource,
        decided_at=now,
        window_seconds=float(rule.window),
        measured_seconds=measured_seconds,
        counted_seconds=counted_seconds,
        average_used=used,
        average_fair_share=fair_share,
        capacity=_mean([(sample.capacity, seconds) for sample, seconds in weighed]),
        ratio=used / fair_share if fair_share else 0.0,
        neighbours=round(_mean([(sample.neighbours, seconds) for sample, seconds in counted])),
        neighbours_harmed=round(
            _mean([(sample.neighbours_harmed, seconds) for sample, seconds in counted])
        ),
        neighbours_waiting=_mean(
            [(sample.neighbours_waiting, seconds) for sample, seconds in counted]
        ),
        samples=tuple(sample for sample, _ in weighed),
    )


def _mean(weighed: Sequence[tuple[float, float]]) -> float:
    total = sum(seconds for _, seconds in weighed)
    return sum(value * seconds for value, seconds in weighed) / total if total else 0.0
