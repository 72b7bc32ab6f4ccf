"""The chart for pages: inline SVG that takes its colours from the page's CSS variables."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from controller.contact.chart import Chart, Point, Tick


def draw_svg(chart: Chart, *, element_id: str = "chart") -> str:
    """An accessible `<svg>`; `element_id` must be unique on its page."""
    title, description = f"{element_id}-title", f"{element_id}-description"
    return "\n".join(
        (
            f'<svg class="chart" viewBox="0 0 {chart.frame.width} {chart.frame.height}" role="img" '
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
    """When neighbours waited, behind the use, and how much, below it."""
    frame = chart.frame
    for left, right in chart.waited:
        yield (
            f'<rect class="chart-waited" x="{left}" y="{frame.top}" '
            f'width="{right - left:.2f}" height="{frame.bottom - frame.top}"/>'
        )
    yield from _levels(chart, chart.waiting_ticks)
    yield f'<text class="chart-unit" x="0" y="{frame.waiting_top - 24}">' + (
        f"{escape(chart.waiting_title)}</text>"
    )
    for run in chart.waiting:
        ground = ((run[0][0], frame.waiting_bottom), *run, (run[-1][0], frame.waiting_bottom))
        yield f'<polygon class="chart-waiting" points="{_points(ground)}"/>'


def _axes(chart: Chart) -> Iterator[str]:
    frame = chart.frame
    yield f'<text class="chart-unit" x="0" y="16">{escape(chart.axis_title)}</text>'
    yield from _levels(chart, chart.y_ticks)
    for tick in chart.x_ticks:
        yield (
            f'<text class="chart-tick" text-anchor="middle" x="{tick.at}" '
            f'y="{frame.waiting_bottom + 22}">{escape(tick.label)}</text>'
        )
    yield (
        f'<text class="chart-tick" text-anchor="end" x="{frame.right}" '
        f'y="{frame.waiting_bottom + 44}">{escape(chart.time_title)}</text>'
    )


def _levels(chart: Chart, ticks: tuple[Tick, ...]) -> Iterator[str]:
    for tick in ticks:
        yield (
            f'<line class="chart-grid" x1="{chart.frame.left}" x2="{chart.frame.right}" '
            f'y1="{tick.at}" y2="{tick.at}"/>'
        )
        yield (
            f'<text class="chart-tick" text-anchor="end" x="{chart.frame.left - 8}" '
            f'y="{tick.at + 4}">{escape(tick.label)}</text>'
        )


def _lines(chart: Chart) -> Iterator[str]:
    yield (
        f'<line class="chart-capacity" x1="{chart.frame.left}" x2="{chart.frame.right}" '
        f'y1="{chart.capacity_y}" y2="{chart.capacity_y}"/>'
    )
    for run in chart.usage:
        yield f'<polyline class="chart-usage" points="{_points(run)}"/>'
    for run in chart.fair_share:
        yield f'<polyline class="chart-share" points="{_points(run)}"/>'


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
