"""The chart for pages: inline SVG that takes its colours from the page's CSS variables."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

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


def draw_svg(chart: Chart, *, element_id: str = "chart") -> str:
    """An accessible `<svg>`; `element_id` must be unique on its page."""
    title, description = f"{element_id}-title", f"{element_id}-description"
    return "\n".join(
        (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-labelledby="{title} {description}" xmlns="http://www.w3.org/2000/svg">',
            f'<title id="{title}">{escape(chart.title)}</title>',
            f'<desc id="{description}">{escape(chart.description)}</desc>',
            *_waiting(chart),
            *_axes(chart),
            *_lines(chart),
            "</svg>",
        )
    )


def _waiting(chart: Chart) -> Iterator[str]:
    for left, right in chart.waited:
        yield (
            f'<rect class="chart-waited" x="{left}" y="{PLOT_TOP}" '
            f'width="{right - left:.2f}" height="{PLOT_BOTTOM - PLOT_TOP}"/>'
        )


def _axes(chart: Chart) -> Iterator[str]:
    yield f'<text class="chart-unit" x="0" y="16">{escape(chart.axis_title)}</text>'
    for tick in chart.y_ticks:
        yield (
            f'<line class="chart-grid" x1="{PLOT_LEFT}" x2="{PLOT_RIGHT}" '
            f'y1="{tick.at}" y2="{tick.at}"/>'
        )
        yield (
            f'<text class="chart-tick" text-anchor="end" x="{PLOT_LEFT - 8}" '
            f'y="{tick.at + 4}">{escape(tick.label)}</text>'
        )
    for tick in chart.x_ticks:
        yield (
            f'<text class="chart-tick" text-anchor="middle" x="{tick.at}" '
            f'y="{PLOT_BOTTOM + 22}">{escape(tick.label)}</text>'
        )
    yield (
        f'<text class="chart-tick" text-anchor="end" x="{PLOT_RIGHT}" '
        f'y="{PLOT_BOTTOM + 44}">{escape(chart.time_title)}</text>'
    )


def _lines(chart: Chart) -> Iterator[str]:
    yield (
        f'<line class="chart-capacity" x1="{PLOT_LEFT}" x2="{PLOT_RIGHT}" '
        f'y1="{chart.capacity_y}" y2="{chart.capacity_y}"/>'
    )
    for run in chart.usage:
        yield f'<polyline class="chart-usage" points="{_points(run)}"/>'
    for run in chart.fair_share:
        yield f'<polyline class="chart-share" points="{_points(run)}"/>'


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
