"""The evidence as a picture: where everything goes. Drawn by `chart_svg` and `chart_png`.

Pure geometry over a verdict's samples, in units of one CSS pixel with the origin at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.contact.wording import brief_date, capacity_name, clock_time, figure
from controller.fairshare.evidence import Sample, Verdict
from controller.fairshare.sentence import amount
from controller.language.catalogue import ENGLISH, Language, message
from controller.language.figures import axis_number, percent
from fairuse_protocol.messages import Resource

Point = tuple[float, float]

WIDTH, HEIGHT = 560, 272
PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 42.0, 540.0, 32.0, 218.0
_MOST_COLUMNS = 240
"""More than this many steps cannot be told apart at this width."""
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_AXIS: dict[Resource, str] = {
    "cpu": message("CPU cores"),
    "disk": message("%% of what the disks can do"),
    "net-in": message("%(unit)s incoming"),
    "net-out": message("%(unit)s outgoing"),
}
_BIT_UNITS = ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s"))


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Everything to draw. Lists of points are unbroken stretches of measured time."""

    axis_title: str
    time_title: str
    usage: tuple[tuple[Point, ...], ...]
    fair_share: tuple[tuple[Point, ...], ...]
    capacity_y: float
    waited: tuple[tuple[float, float], ...]
    """From x to x: where neighbours waited."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    usage_label: str
    fair_share_label: str
    capacity_label: str
    waited_label: str
    title: str
    description: str
    """What a reader who does not see the picture has to know."""


@dataclass(frozen=True)
class _Scale:
    start: float
    end: float
    top: float

    def x(self, at: float) -> float:
        share = (at - self.start) / (self.end - self.start)
        return round(PLOT_LEFT + share * (PLOT_RIGHT - PLOT_LEFT), 2)

    def y(self, value: float) -> float:
        share = min(1.0, max(0.0, value / self.top))
        return round(PLOT_BOTTOM - share * (PLOT_BOTTOM - PLOT_TOP), 2)


def lay_out(verdict: Verdict, language: Language = ENGLISH) -> Chart:
    """The chart of one verdict's evidence."""
    samples = thinned(verdict.samples, _MOST_COLUMNS)
    end = verdict.decided_at
    start = min([end - verdict.window_seconds, *(s.ended_at - s.seconds for s in samples)])
    most = max([verdict.capacity, *(max(s.used, s.fair_share) for s in samples)])
    factor, unit = _unit(verdict.resource, most)
    step = _nice_step(most / factor / 4)
    top = math.ceil(round(most / factor / step, 6)) * step
    scale = _Scale(start, end, top * factor)
    share = figure(verdict.resource, verdict.average_fair_share, language)
    capacity = figure(verdict.resource, verdict.capacity, language)
    return Chart(
        axis_title=language.gettext(_AXIS[verdict.resource], unit=unit),
        time_title=language.gettext("time, UTC"),
        usage=tuple(_steps(run, scale, "used") for run in _runs(samples)),
        fair_share=tuple(_steps(run, scale, "fair_share") for run in _runs(samples)),
        capacity_y=scale.y(verdict.capacity),
        waited=_bands(samples, scale),
        x_ticks=_time_ticks(scale, language),
        y_ticks=tuple(
            Tick(scale.y(step * n * factor), axis_number(step * n, language))
            for n in range(round(top / step) + 1)
        ),
        usage_label=language.gettext("Your server's use"),
        fair_share_label=language.gettext("Its fair share (%(amount)s)", amount=share),
        capacity_label=f"{capacity_name(verdict.resource, language)} ({capacity})",
        waited_label=language.gettext("Other customers' servers waited"),
        title=language.gettext(
            "Use over time, %(start)s to %(end)s UTC",
            start=clock_time(start, language),
            end=clock_time(end, language),
        ),
        description=_description(verdict, samples, language),
    )


def thinned(samples: Sequence[Sample], most: int) -> tuple[Sample, ...]:
    """At most about `most` samples, neighbours in time joined by their time-weighted means."""
    if len(samples) <= most:
        return tuple(samples)
    size = math.ceil(len(samples) / most)
    return tuple(
        piece
        for run in _runs(samples)
        for piece in (_joined(run[n : n + size]) for n in range(0, len(run), size))
    )


def _joined(samples: Sequence[Sample]) -> Sample:
    seconds = sum(sample.seconds for sample in samples)

    def mean(name: str) -> float:
        return float(sum(getattr(s, name) * s.seconds for s in samples) / seconds)

    last = samples[-1]
    return Sample(
        ended_at=last.ended_at,
        seconds=seconds,
        used=mean("used"),
        fair_share=mean("fair_share"),
        capacity=mean("capacity"),
        host_waiting=last.host_waiting,
        utilisation=mean("utilisation"),
        neighbours=last.neighbours,
        neighbours_harmed=max(sample.neighbours_harmed for sample in samples),
        neighbours_waiting=mean("neighbours_waiting"),
        cause_share=mean("cause_share"),
    )


def _runs(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], ...]:
    """Stretches without a gap of more than half an interval between samples."""
    runs: list[list[Sample]] = []
    for sample in samples:
        started = sample.ended_at - sample.seconds
        if runs and started - runs[-1][-1].ended_at <= sample.seconds / 2:
            runs[-1].append(sample)
        else:
            runs.append([sample])
    return tuple(tuple(run) for run in runs)


def _steps(run: Sequence[Sample], scale: _Scale, name: str) -> tuple[Point, ...]:
    """Each interval is one level: an average has no slope."""
    points: list[Point] = []
    left = scale.x(run[0].ended_at - run[0].seconds)
    for sample in run:
        right, y = scale.x(sample.ended_at), scale.y(getattr(sample, name))
        points += [(left, y), (right, y)]
        left = right
    return tuple(points)


def _bands(samples: Sequence[Sample], scale: _Scale) -> tuple[tuple[float, float], ...]:
    harmed = [sample for sample in samples if sample.neighbours_harmed > 0]
    return tuple(
        (scale.x(run[0].ended_at - run[0].seconds), scale.x(run[-1].ended_at))
        for run in _runs(harmed)
    )


def _time_ticks(scale: _Scale, language: Language) -> tuple[Tick, ...]:
    wanted = (scale.end - scale.start) / 5
    step = next((step for step in _TIME_STEPS if step >= wanted), _TIME_STEPS[-1])
    first = math.ceil(scale.start / step) * step

    def label(at: int) -> str:
        if step < 43200:
            return clock_time(at, language, seconds=step < 60)
        return brief_date(at, language)

    return tuple(Tick(scale.x(at), label(at)) for at in range(first, int(scale.end) + 1, step))


def _unit(resource: Resource, most: float) -> tuple[float, str]:
    """What one step of the vertical axis is in the resource's own unit, and a rate's unit."""
    if resource == "cpu":
        return 1.0, ""
    if resource == "disk":
        return 0.01, ""
    bits, name = next((unit for unit in _BIT_UNITS if most * 8 >= unit[0]), _BIT_UNITS[-1])
    return bits / 8, name


def _nice_step(least: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= least * 0.999)


def _description(verdict: Verdict, samples: Sequence[Sample], language: Language) -> str:
    resource = verdict.resource
    most = max((sample.used for sample in samples), default=0.0)
    waited = sum(sample.seconds for sample in samples if sample.neighbours_harmed > 0)
    measured = sum(sample.seconds for sample in samples)
    return language.gettext(
        "Your server used %(average)s on average and %(most)s at most. Its fair share is "
        "%(share)s. %(whole)s: %(capacity)s. Other customers' servers waited in %(waited)s of the "
        "measured time.",
        average=amount(resource, verdict.average_used, language),
        most=amount(resource, most, language),
        share=amount(resource, verdict.average_fair_share, language),
        whole=capacity_name(resource, language),
        capacity=figure(resource, verdict.capacity, language),
        waited=percent(waited / measured if measured else 0.0, language),
    )
