"""The chart for mail: a PNG, since most mail programs show no SVG. Legend included."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from controller.contact.chart import Chart, Point, Tick

_SCALE = 3
"""Drawn at three times the size in which a telephone shows it, for sharp text on dense screens."""
_LEGEND_ROW = 22
_LEGEND_ROWS = 4
_FONT_SIZE = 13
_FONTS = (("LiberationSans-Regular.ttf", _FONT_SIZE), ("DejaVuSans.ttf", 12))
"""Tried in their order, at sizes at which they are about equally wide. Pillow's own, the last
resort, has ASCII only."""
_ASCII = str.maketrans({"æ": "ae", "ø": "o", "Æ": "Ae", "Ø": "O", "ß": "ss"})
_MARGIN = 12

# The page's light colours: a picture cannot follow the reader's theme, so it brings its own ground.
_GROUND = "#ffffff"
_TEXT = "#4b5563"
_GRID = "#e5e7eb"
_WAITED = "#fef0cd"
_WAITING = "#f2a93b"
_USAGE = "#1d4ed8"
_SHARE = "#15803d"
_CAPACITY = "#6b7280"


def draw_png(chart: Chart) -> bytes:
    """The picture, meant to be shown about as wide as the chart's frame, at most twice that."""
    frame = chart.frame
    size = (frame.width * _SCALE, (frame.height + _LEGEND_ROWS * _LEGEND_ROW + 8) * _SCALE)
    image = Image.new("RGB", size, _GROUND)
    brush = _Brush(image)
    for left, right in chart.waited:
        brush.box((left, frame.top), (right, frame.bottom), _WAITED)
    _draw_axes(brush, chart)
    _draw_waiting(brush, chart)
    _draw_lines(brush, chart)
    _draw_legend(brush, chart)
    file = io.BytesIO()
    image.quantize(64, Image.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    return file.getvalue()


class _Brush:
    """Draws in the chart's own units."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._font, self._writes_ascii_only = _font()

    def fill(self, points: Sequence[Point], color: str) -> None:
        """An area."""
        self._draw.polygon(_scaled(points), fill=color)

    def box(self, start: Point, end: Point, color: str) -> None:
        """An area from one corner to the opposite one."""
        self.fill([start, (end[0], start[1]), end, (start[0], end[1])], color)

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
        if self._writes_ascii_only:
            text = _in_ascii(text)
        self._draw.text(position, text, fill=_TEXT, font=self._font, anchor=anchor)


def _font() -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, bool]:
    """The best font of this host, and whether it writes ASCII only."""
    for name, size in _FONTS:
        try:
            return ImageFont.truetype(name, size * _SCALE), False
        except OSError:
            continue
    return ImageFont.load_default(_FONT_SIZE * _SCALE), True


def _in_ascii(text: str) -> str:
    """Letters without their marks: "udgaende" can be read, boxes cannot."""
    plain = unicodedata.normalize("NFKD", text.translate(_ASCII))
    return plain.encode("ascii", "ignore").decode()


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _draw_axes(brush: _Brush, chart: Chart) -> None:
    frame = chart.frame
    brush.text((_MARGIN, 14), chart.axis_title, "lm")
    brush.text((_MARGIN, frame.waiting_top - 18), chart.waiting_title, "lm")
    for tick in (*chart.y_ticks, *chart.waiting_ticks):
        _draw_level(brush, chart, tick)
    for tick in chart.x_ticks:
        brush.text((tick.at, frame.waiting_bottom + 16), tick.label, "mm")
    brush.text((frame.right, frame.waiting_bottom + 36), chart.time_title, "rm")


def _draw_level(brush: _Brush, chart: Chart, tick: Tick) -> None:
    brush.line([(chart.frame.left, tick.at), (chart.frame.right, tick.at)], _GRID)
    brush.text((chart.frame.left - 8, tick.at), tick.label, "rm")


def _draw_waiting(brush: _Brush, chart: Chart) -> None:
    ground = chart.frame.waiting_bottom
    for run in chart.waiting:
        brush.fill([(run[0][0], ground), *run, (run[-1][0], ground)], _WAITING)


def _draw_lines(brush: _Brush, chart: Chart) -> None:
    level = chart.capacity_y
    brush.dashes((chart.frame.left, level), (chart.frame.right, level), _CAPACITY, 1.5)
    for run in chart.usage:
        brush.line(run, _USAGE, 2)
    for run in chart.fair_share:
        brush.line(run, _SHARE, 2.5)


def _draw_legend(brush: _Brush, chart: Chart) -> None:
    left, right = _MARGIN, _MARGIN + 22
    for row, (color, label) in enumerate(
        (
            (_USAGE, chart.usage_label),
            (_SHARE, chart.fair_share_label),
            (_CAPACITY, chart.capacity_label),
            (_WAITING, chart.waited_label),
        )
    ):
        y = chart.frame.height + 10 + row * _LEGEND_ROW
        if color == _WAITING:
            brush.box((left, y - 6), (right, y + 6), color)
        elif color == _CAPACITY:
            brush.dashes((left, y), (right, y), color, 2)
        else:
            brush.line([(left, y), (right, y)], color, 3)
        brush.text((right + 10, y), label, "lm")
