"""The chart for mail: a PNG, since most mail programs show no SVG. Legend included."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from controller.contact.chart import (
    HEIGHT,
    PLOT_BOTTOM,
    PLOT_LEFT,
    PLOT_RIGHT,
    PLOT_TOP,
    WIDTH,
    Chart,
    Point,
)

_SCALE = 2
"""Drawn at twice the shown size, for sharp text on dense screens."""
_LEGEND_HEIGHT = 100
_FONT_SIZE = 14

# The page's light colours: a picture cannot follow the reader's theme, so it brings its own ground.
_GROUND = "#ffffff"
_TEXT = "#4b5563"
_GRID = "#e5e7eb"
_WAITED = "#fde5b0"
_USAGE = "#1d4ed8"
_SHARE = "#15803d"
_CAPACITY = "#6b7280"


def draw_png(chart: Chart) -> bytes:
    """The picture, `WIDTH` wide when shown, at twice that in pixels."""
    size = (WIDTH * _SCALE, (HEIGHT + _LEGEND_HEIGHT) * _SCALE)
    image = Image.new("RGB", size, _GROUND)
    brush = _Brush(image)
    for left, right in chart.waited:
        brush.fill([(left, PLOT_TOP), (right, PLOT_TOP), (right, PLOT_BOTTOM), (left, PLOT_BOTTOM)])
    _draw_axes(brush, chart)
    _draw_lines(brush, chart)
    _draw_legend(brush, chart)
    file = io.BytesIO()
    image.quantize(64, Image.Quantize.FASTOCTREE).save(file, "PNG")
    return file.getvalue()


class _Brush:
    """Draws in the chart's own units."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._font = ImageFont.load_default(_FONT_SIZE * _SCALE)

    def fill(self, points: Sequence[Point]) -> None:
        """An area in which others waited."""
        self._draw.polygon(_scaled(points), fill=_WAITED)

    def line(self, points: Sequence[Point], color: str, width: float = 1.0) -> None:
        self._draw.line(_scaled(points), fill=color, width=round(width * _SCALE), joint="curve")

    def dashes(self, start: Point, end: Point, color: str, width: float) -> None:
        """A level dashed line."""
        x = start[0]
        while x < end[0]:
            self.line([(x, start[1]), (min(x + 6, end[0]), start[1])], color, width)
            x += 10

    def text(self, at: Point, text: str, anchor: str) -> None:
        (position,) = _scaled([at])
        self._draw.text(position, text, fill=_TEXT, font=self._font, anchor=anchor)


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _draw_axes(brush: _Brush, chart: Chart) -> None:
    brush.text((2, 12), chart.axis_title, "lm")
    for tick in chart.y_ticks:
        brush.line([(PLOT_LEFT, tick.at), (PLOT_RIGHT, tick.at)], _GRID)
        brush.text((PLOT_LEFT - 8, tick.at), tick.label, "rm")
    for tick in chart.x_ticks:
        brush.text((tick.at, PLOT_BOTTOM + 16), tick.label, "mm")
    brush.text((PLOT_RIGHT, PLOT_BOTTOM + 38), chart.time_title, "rm")


def _draw_lines(brush: _Brush, chart: Chart) -> None:
    level = chart.capacity_y
    brush.dashes((PLOT_LEFT, level), (PLOT_RIGHT, level), _CAPACITY, 1.5)
    for run in chart.usage:
        brush.line(run, _USAGE, 2)
    for run in chart.fair_share:
        brush.line(run, _SHARE, 2.5)


def _draw_legend(brush: _Brush, chart: Chart) -> None:
    left, right = PLOT_LEFT, PLOT_LEFT + 22
    for row, (color, label) in enumerate(
        (
            (_USAGE, chart.usage_label),
            (_SHARE, chart.fair_share_label),
            (_CAPACITY, chart.capacity_label),
            (_WAITED, chart.waited_label),
        )
    ):
        y = HEIGHT + 10 + row * 23
        if color == _WAITED:
            brush.fill([(left, y - 7), (right, y - 7), (right, y + 7), (left, y + 7)])
        elif color == _CAPACITY:
            brush.dashes((left, y), (right, y), color, 2)
        else:
            brush.line([(left, y), (right, y)], color, 3)
        brush.text((right + 10, y), label, "lm")
