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
_LEGEND_HEIGHT = 48
_FONT_SIZE = 12

# The page's light colours: a picture cannot follow the reader's theme, so it brings its own ground.
_GROUND = "#ffffff"
_TEXT = "#4b5563"
_GRID = "#e5e7eb"
_WAITED = "#fdecc8"
_USAGE = "#1d4ed8"
_AREA = "#bfd0f7"
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
    image.quantize(128).save(file, "PNG", optimize=True)
    return file.getvalue()


class _Brush:
    """Draws in the chart's own units."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image, "RGBA")
        self._font = ImageFont.load_default(_FONT_SIZE * _SCALE)

    def fill(self, points: Sequence[Point], color: str = _WAITED) -> None:
        self._draw.polygon(_scaled(points), fill=color)

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
    brush.text((4, 12), chart.axis_title, "lm")
    for tick in chart.y_ticks:
        brush.line([(PLOT_LEFT, tick.at), (PLOT_RIGHT, tick.at)], _GRID)
        brush.text((PLOT_LEFT - 8, tick.at), tick.label, "rm")
    for tick in chart.x_ticks:
        brush.text((tick.at, PLOT_BOTTOM + 16), tick.label, "mm")
    brush.text((PLOT_RIGHT, PLOT_BOTTOM + 34), "time, UTC", "rm")


def _draw_lines(brush: _Brush, chart: Chart) -> None:
    for run in chart.usage:
        closed = [(run[0][0], PLOT_BOTTOM), *run, (run[-1][0], PLOT_BOTTOM)]
        brush.fill(closed, _AREA + "99")
    level = chart.capacity_y
    brush.dashes((PLOT_LEFT, level), (PLOT_RIGHT, level), _CAPACITY, 1.5)
    for run in chart.usage:
        brush.line(run, _USAGE, 2)
    for run in chart.fair_share:
        brush.line(run, _SHARE, 2.5)


def _draw_legend(brush: _Brush, chart: Chart) -> None:
    top, middle, right = HEIGHT - 6, 9, WIDTH / 2
    for column, row, color, label in (
        (PLOT_LEFT, 0, _USAGE, chart.usage_label),
        (right, 0, _SHARE, chart.fair_share_label),
        (PLOT_LEFT, 1, _CAPACITY, chart.capacity_label),
        (right, 1, _WAITED, chart.waited_label),
    ):
        y = top + row * 22 + middle
        if color == _WAITED:
            box = [(column, y - 6), (column + 18, y - 6), (column + 18, y + 6), (column, y + 6)]
            brush.fill(box)
        elif color == _CAPACITY:
            brush.dashes((column, y), (column + 18, y), color, 2)
        else:
            brush.line([(column, y), (column + 18, y)], color, 3)
        brush.text((column + 26, y), label, "lm")
