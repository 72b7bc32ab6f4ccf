"""Figures as people read them: cores, Mbit/s, percent, times and lengths of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from controller.fairshare.agreement import Agreement
from fairuse_protocol.messages import Resource

UNITS: dict[Resource, str] = {
    "cpu": "cores",
    "disk": "% of the disks",
    "net-in": "Mbit/s",
    "net-out": "Mbit/s",
}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = " ▁▂▃▄▅▆▇█"


def bare(resource: Resource, value: float | None) -> str:
    """A figure without its unit: CPU in cores, disk in percent, network in Mbit/s."""
    if value is None:
        return "?"
    match resource:
        case "cpu":
            return _short(value)
        case "disk":
            return f"{value * 100:.0f}"
        case "net-in" | "net-out":
            return _short(value * 8 / 1e6)


def with_unit(resource: Resource, value: float | None) -> str:
    """The same with its unit."""
    return f"{bare(resource, value)} {UNITS[resource]}"


def percent(share: float | None) -> str:
    """A share as "23 %"."""
    return "?" if share is None else f"{share * 100:.0f} %"


def times(ratio: float) -> str:
    """A ratio as "4.1x"."""
    return f"{ratio:.1f}x" if ratio < 99.95 else f"{ratio:.0f}x"


def agreed(agreement: Agreement) -> str:
    """What the tenant may do, and where: "up to 50 % of cpu on h1", "load test, any resource"."""
    resource = agreement.resource or "any resource"
    where = f" on {agreement.host}" if agreement.host else ""
    match agreement.kind:
        case "share":
            what = f"up to {percent(agreement.share)} of {resource}"
        case "exempt":
            what = f"exempt, {resource}"
        case "test":
            what = f"load test, {resource}"
    return what + where


def length(seconds: float) -> str:
    """A length of time in at most two units: "3h 12m", "45s"."""
    whole = max(0, round(seconds))
    for unit, size, lower, lower_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // lower_size
            return f"{whole // size}{unit} {rest}{lower}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def clock(at: float, now: float) -> str:
    """A time of day in UTC, as histories and exports have it, with the date when it is not the
    same day as `now`: "14:05:12 UTC"."""
    return f"{bare_clock(at, now)} UTC"


def bare_clock(at: float, now: float) -> str:
    """The same where a heading says that it is UTC."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    return moment.strftime("%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M")


def bar(share: float, width: int, *, plain: bool) -> str:
    """A horizontal bar of `width` for a share from 0 to 1; `plain` uses ASCII only."""
    filled = min(max(share, 0.0), 1.0) * width
    if plain:
        return "#" * round(filled)
    whole = int(filled)
    return ("█" * whole + _EIGHTHS[int((filled - whole) * 8)]).rstrip()


def averaged(values: Sequence[float], seconds: Sequence[float], width: int) -> list[float]:
    """`values` in `width` columns or a little fewer, all as wide as each other: averages weighted
    by `seconds` where there are more values than columns, repeated where there are fewer."""
    if not values:
        return []
    if len(values) <= width:
        return [value for value in values for _ in range(width // len(values))]
    means = []
    for column in range(width):
        part = slice(len(values) * column // width, len(values) * (column + 1) // width)
        weighted = sum(
            value * weight for value, weight in zip(values[part], seconds[part], strict=True)
        )
        means.append(weighted / sum(seconds[part]))
    return means


def columns(values: Sequence[float], top: float, height: int, *, plain: bool) -> list[str]:
    """Upright bars as `height` lines of text, the top line first; `top` fills them all."""
    lines = []
    for row in reversed(range(height)):
        line = ""
        for value in values:
            level = min(max(value / top * height - row, 0.0), 1.0) if top > 0 else 0.0
            line += ("#" if level >= 0.5 else " ") if plain else _LEVELS[round(level * 8)]
        lines.append(line)
    return lines


def _short(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.95 or value == 0 else f"{value:.2f}"
