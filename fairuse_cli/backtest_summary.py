"""What a backtest found, on a terminal: in one sentence, then counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.backtest.events import Tally
from controller.backtest.outcome import Outcome, Played
from controller.backtest.wording import counted, headline, order_note
from fairuse_cli import figures
from fairuse_protocol.messages import RESOURCES

_MOST_TENANTS = 10
_MOST_DAYS = 31
_MOST_NAMES = 12
_BAR_WIDTH = 24
_LABEL_WIDTH = 10
_NAME_WIDTH = 24
_DAY_SECONDS = 86_400
_NOTHING = Tally(0, 0, 0, 0.0)
_Row = tuple[str, Sequence[Tally]]


def summary(played: Played, files: Sequence[Path], *, plain: bool) -> RenderableType:
    """Everything about a backtest, from what matters most to what is looked up."""
    parts: list[RenderableType] = [_about(played, files), ""]
    two = len(played.outcomes) > 1
    for outcome in played.outcomes:
        whose = (f"{outcome.label}: ", "bold cyan") if two else ("", "")
        parts += [Text.assemble(whose, (headline(played, outcome), "bold")), ""]
    if any(outcome.events.total().cases for outcome in played.outcomes):
        parts.append(_counts(played, plain=plain))
    if two:
        parts += ["", *_differences(*played.outcomes)]
    note = order_note(played)
    if note is not None:
        parts += ["", Text(note, "yellow")]
    return Group(*parts)


def _about(played: Played, files: Sequence[Path]) -> Table:
    extent = played.extent
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    when = f"{_moment(extent.began_at)} to {_moment(extent.ended_at)} UTC"
    grid.add_row(
        "trace",
        f"{played.name}: {counted(played.hosts, 'host')}, {counted(played.tenants, 'customer')}, "
        f"{counted(extent.tenant_intervals, 'tenant-interval')}",
    )
    grid.add_row("", when if extent.tenant_intervals else "no samples")
    for outcome, file in zip(played.outcomes, files, strict=True):
        name = "" if outcome.label == str(file) else f"{outcome.label}  "
        grid.add_row("policy", f"{name}{file}")
    return grid


def _moment(at: int | None) -> str:
    return "?" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def _counts(played: Played, *, plain: bool) -> Table:
    """One table, so that all columns stand under each other."""
    outcomes = played.outcomes
    table = Table(box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("", overflow="fold", max_width=_NAME_WIDTH)
    for heading in ("cases", "notices", "limits", "limited"):
        for outcome in outcomes:
            label = f"\n{outcome.label[:_LABEL_WIDTH]}" if len(outcomes) > 1 else ""
            table.add_column(f"{heading}{label}", justify="right", no_wrap=True)
    bar_width = _BAR_WIDTH if len(outcomes) == 1 else 0
    if bar_width:
        table.add_column("", width=bar_width, no_wrap=True)
    table.add_row(
        Text("in all", "bold"), *_figures([outcome.events.total() for outcome in outcomes])
    )
    for title, rows, more in (
        ("by resource", _by_resource(outcomes), ""),
        ("by customer", *_by_tenant(outcomes)),
        ("by day", *_by_day(outcomes)),
    ):
        table.add_row("")
        table.add_row(Text(title, "bold"))
        most = max((tally.cases for _, tallies in rows for tally in tallies), default=0)
        for name, tallies in rows:
            share = max(tally.cases for tally in tallies) / most if most else 0.0
            bar = [Text(figures.bar(share, bar_width, plain=plain), "cyan")] if bar_width else []
            table.add_row(Text(f"  {name}"), *_figures(tallies), *bar)
        if more:
            table.add_row(Text(f"  {more}", "dim"))
    return table


def _figures(tallies: Sequence[Tally]) -> Iterator[Text]:
    """The cells of one row, kind by kind; what the policies differ in stands out."""
    for kind in Tally._fields:
        values = [getattr(tally, kind) for tally in tallies]
        differs = len({round(value, 3) for value in values}) > 1
        for value in values:
            text = figures.length(value * 60) if kind == "limited_minutes" else f"{value:,}"
            style = "dim" if not value else "bold yellow" if differs else ""
            yield Text(text if value else "-", style)


def _by_resource(outcomes: Sequence[Outcome]) -> list[_Row]:
    return _joined([dict(outcome.events.by("resource")) for outcome in outcomes], RESOURCES)


def _by_tenant(outcomes: Sequence[Outcome]) -> tuple[list[_Row], str]:
    counts = [dict(outcome.events.by("tenant")) for outcome in outcomes]
    order = sorted(
        {tenant for count in counts for tenant in count},
        key=lambda tenant: (
            -max(count.get(tenant, _NOTHING).cases for count in counts),
            -max(count.get(tenant, _NOTHING).limited_minutes for count in counts),
            tenant,
        ),
    )
    more = len(order) - _MOST_TENANTS
    return (
        _joined(counts, order[:_MOST_TENANTS]),
        f"and {counted(more, 'other')}" if more > 0 else "",
    )


def _by_day(outcomes: Sequence[Outcome]) -> tuple[list[_Row], str]:
    counts = [outcome.events.by_time(_DAY_SECONDS, 0) for outcome in outcomes]
    days = sorted({day for count in counts for day in count})
    named = [
        {f"{datetime.fromtimestamp(day, UTC):%Y-%m-%d}": tally for day, tally in count.items()}
        for count in counts
    ]
    shown = [f"{datetime.fromtimestamp(day, UTC):%Y-%m-%d}" for day in days[-_MOST_DAYS:]]
    more = len(days) - _MOST_DAYS
    return (
        _joined(named, shown),
        f"and {counted(more, 'day')} before" if more > 0 else "",
    )


def _joined(counts: Sequence[dict[str, Tally]], names: Sequence[str]) -> list[_Row]:
    return [(name, [count.get(name, _NOTHING) for count in counts]) for name in names]


def _differences(first: Outcome, second: Outcome) -> Iterator[RenderableType]:
    """Whom only one of two policies would have written to."""
    one, other = first.written_to(), second.written_to()
    yield Text("who would have been written to", "bold")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for whom, names in (
        ("by both", one & other),
        (f"only by {first.label}", one - other),
        (f"only by {second.label}", other - one),
    ):
        grid.add_row(f"  {whom}", f"{len(names):,}", _names(sorted(names)))
    yield grid


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {more:,} more" if more > 0 else shown
