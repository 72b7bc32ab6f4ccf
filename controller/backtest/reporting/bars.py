"""Bars over time, as where everything goes: pure geometry, drawn by the page's template.

In units of one CSS pixel, with the origin at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.backtest.wording import counted

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 46.0, 556.0, 14.0, 204.0
_GAP = 0.25
"""Of a bar's place, left empty beside it."""
_MOST_LABELS = 6


@dataclass(frozen=True, slots=True)
class Series:
    """One policy's figures, a value for each stretch of time."""

    label: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `series` says whose."""

    series: int
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A figure or a name on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Everything to draw."""

    title: str
    description: str
    """What a reader who does not see the picture has to know."""
    bars: tuple[Bar, ...]
    y_marks: tuple[Mark, ...]
    x_marks: tuple[Mark, ...]


def lay_out(
    title: str,
    unit: str,
    labels: Sequence[str],
    names: Sequence[str],
    series: Sequence[Series],
) -> BarChart:
    """Bars of one series, or of several beside each other.

    `labels` stand under the places where there is room; `names` say each place in full; `unit`
    is what is counted ("case"). Every series has a value for every label.
    """
    highest = max((value for one in series for value in one.values), default=0.0)
    step = _step(highest)
    top = max(step, math.ceil(highest / step) * step)
    place = (RIGHT - LEFT) / max(1, len(labels))
    every = max(1, math.ceil(len(labels) / _MOST_LABELS))
    return BarChart(
        title=title,
        description=" ".join(_description(one, names, unit) for one in series),
        bars=tuple(_bars(series, names, unit, place, top)),
        y_marks=tuple(
            Mark(round(BOTTOM - (BOTTOM - TOP) * step * n / top, 2), f"{step * n:,}")
            for n in range(top // step + 1)
        ),
        x_marks=tuple(
            Mark(round(LEFT + place * (n + 0.5), 2), labels[n])
            for n in range(every // 2, len(labels), every)
        ),
    )


def _bars(
    series: Sequence[Series], names: Sequence[str], unit: str, place: float, top: float
) -> list[Bar]:
    width = place * (1 - _GAP) / len(series)
    bars = []
    for number, one in enumerate(series):
        whose = f"{one.label}, " if len(series) > 1 else ""
        for n, (name, value) in enumerate(zip(names, one.values, strict=True)):
            height = (BOTTOM - TOP) * value / top
            bars.append(
                Bar(
                    series=number,
                    x=round(LEFT + place * (n + _GAP / 2) + width * number, 2),
                    y=round(BOTTOM - height, 2),
                    width=round(width, 2),
                    height=round(height, 2),
                    title=f"{whose}{name}: {counted(round(value), unit)}",
                )
            )
    return [bar for bar in bars if bar.height > 0]


def _description(one: Series, names: Sequence[str], unit: str) -> str:
    total = round(sum(one.values))
    if not total:
        return f"{one.label}: none."
    most = max(range(len(names)), key=lambda n: one.values[n])
    there = f"{round(one.values[most]):,} of them on {names[most]}"
    return f"{one.label}: {counted(total, unit)} in all, {there}."


def _step(highest: float) -> int:
    """Between marks: 1, 2 or 5 times a power of ten, so that there are about four of them."""
    least = highest / 4
    if least <= 1:
        return 1
    power = int(10 ** math.floor(math.log10(least)))
    return next(nice * power for nice in (1, 2, 5, 10) if nice * power >= least)
