"""The evidence as a picture: where everything goes. Drawn by `chart_svg` and `chart_png`.

Above is the tenant's use against its fair share, below how much its neighbours waited meanwhile.
Pure geometry over a verdict's samples, in units of one CSS pixel with the origin at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from controller.contact.wording import brief_date, capacity_name, clock_time, figure, zone_name
from controller.fairshare.evidence import Sample, Verdict
from controller.fairshare.sentence import amount
from controller.language.catalogue import ENGLISH, Language, message
from controller.language.figures import axis_number, percent
from fairuse_protocol.messages import Resource

Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """Where the two plots are in the picture. They share their left and right."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    waiting_top: float
    waiting_bottom: float


WIDE = Frame(560, 376, left=46, right=534, top=44, bottom=216, waiting_top=266, waiting_bottom=326)
"""For pages."""
NARROW = Frame(
    360, 344, left=48, right=334, top=32, bottom=196, waiting_top=238, waiting_bottom=294
)
"""For mail: about as wide as a telephone, so that its words stay as large as they are drawn."""
_MOST_COLUMNS = 240
"""More than this many steps cannot be told apart at this width."""
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_AXIS: dict[Resource, str] = {
    "cpu": message("CPU cores"),
    "disk": message("%% of what the disks can do"),
    "net-in": message("%(unit)s incoming"),
    "net-out": message("%(unit)s outgoing"),
}
_WAITING_AXIS: dict[Resource, str] = {
    "cpu": message("Other customers' servers: %% of the time waiting"),
    "disk": message("Other customers' servers: %% of the time waiting"),
    "net-in": message("Other customers' servers: %% of packets held up"),
    "net-out": message("Other customers' servers: %% of packets held up"),
}
_WAITING_TOPS = (0.02, 0.1, 0.2, 0.5, 1.0)
_BIT_UNITS = ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s"))


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Everything to draw. Lists of points are unbroken stretches of measured time."""

    frame: Frame
    axis_title: str
    waiting_title: str
    time_title: str
    usage: tuple[tuple[Point, ...], ...]
    fair_share: tuple[tuple[Point, ...], ...]
    capacity_y: float
    waited: tuple[tuple[float, float], ...]
    """From x to x: where neighbours waited."""
    waiting: tuple[tuple[Point, ...], ...]
    """How much they waited, in the lower plot."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    waiting_ticks: tuple[Tick, ...]
    usage_label: str
    fair_share_label: str
    capacity_label: str
    waited_label: str
    title: str
    description: str
    """What a reader who does not see the picture has to know."""


@dataclass(frozen=True)
class _Scale:
    """From times and values to a plot's coordinates."""

    start: float
    end: float
    top: float
    frame: Frame
    upper: float
    lower: float

    def x(self, at: float) -> float:
        share = (at - self.start) / (self.end - self.start)
        return round(self.frame.left + share * (self.frame.right - self.frame.left), 2)

    def y(self, value: float) -> float:
        share = min(1.0, max(0.0, value / self.top))
        return round(self.lower - share * (self.lower - self.upper), 2)


def lay_out(
    verdict: Verdict, language: Language = ENGLISH, zone: tzinfo = UTC, frame: Frame = WIDE
) -> Chart:
    """The chart of one verdict's evidence, its times in `zone`."""
    samples = thinned(verdict.samples, _MOST_COLUMNS)
    end = verdict.decided_at
    start = min([end - verdict.window_seconds, *(s.ended_at - s.seconds for s in samples)])
    most = max([verdict.capacity, *(max(s.used, s.fair_share) for s in samples)])
    factor, unit = _unit(verdict.resource, most)
    step = _nice_step(most / factor / 4)
    top = math.ceil(round(most / factor / step, 6)) * step
    scale = _Scale(start, end, top * factor, frame, frame.top, frame.bottom)
    waiting = _waiting_scale(samples, scale)
    share = figure(verdict.resource, verdict.average_fair_share, language)
    capacity = figure(verdict.resource, verdict.capacity, language)
    return Chart(
        frame=frame,
        axis_title=language.gettext(_AXIS[verdict.resource], unit=unit),
        waiting_title=language.gettext(_WAITING_AXIS[verdict.resource], unit=unit),
        time_title=language.gettext("time, %(zone)s", zone=zone_name(end, zone)),
        usage=tuple(_steps(run, scale, "used") for run in _runs(samples)),
        fair_share=tuple(_steps(run, scale, "fair_share") for run in _runs(samples)),
        capacity_y=scale.y(verdict.capacity),
        waited=_bands(samples, scale),
        waiting=tuple(_steps(run, waiting, "neighbours_waiting") for run in _runs(samples)),
        x_ticks=_time_ticks(scale, language, zone),
        y_ticks=tuple(
            Tick(scale.y(step * n * factor), axis_number(step * n, language))
            for n in range(round(top / step) + 1)
        ),
        waiting_ticks=tuple(
            Tick(waiting.y(share), axis_number(share * 100, language))
            for share in (0.0, waiting.top / 2, waiting.top)
        ),
        usage_label=language.gettext("Your server's use"),
        fair_share_label=language.gettext("Its fair share (%(amount)s)", amount=share),
        capacity_label=f"{capacity_name(verdict.resource, language)} ({capacity})",
        waited_label=language.gettext("Other customers' servers waited"),
        title=language.gettext(
            "Use over time, %(start)s to %(end)s %(zone)s",
            start=clock_time(start, language, zone),
            end=clock_time(end, language, zone),
            zone=zone_name(end, zone),
        ),
        description=_description(verdict, samples, language),
    )


def _waiting_scale(samples: Sequence[Sample], scale: _Scale) -> _Scale:
    """The lower plot's: up to the next round share that nothing is above."""
    most = max((sample.neighbours_waiting for sample in samples), default=0.0)
    top = next((top for top in _WAITING_TOPS if top >= most), 1.0)
    frame = scale.frame
    return _Scale(scale.start, scale.end, top, frame, frame.waiting_top, frame.waiting_bottom)


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


def _time_ticks(scale: _Scale, language: Language, zone: tzinfo) -> tuple[Tick, ...]:
    wanted = (scale.end - scale.start) / 5
    step = next((step for step in _TIME_STEPS if step >= wanted), _TIME_STEPS[-1])
    first = math.ceil(scale.start / step) * step

    def label(at: int) -> str:
        if step < 43200:
            return clock_time(at, language, zone, seconds=step < 60)
        return brief_date(at, language, zone)

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
