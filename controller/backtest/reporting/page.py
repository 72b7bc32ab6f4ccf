"""What the page shows, worked out; the template says how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from controller.backtest.events import PastCase, Tally
from controller.backtest.outcome import Outcome, Played
from controller.backtest.reporting import bars
from controller.backtest.reporting.bars import BarChart, Series
from controller.backtest.reporting.periods import Periods
from controller.backtest.wording import counted, headline, order_note
from controller.contact.chart import lay_out as lay_out_evidence
from controller.contact.chart_svg import draw_svg
from controller.contact.wording import moment, resource_name, span, your_server
from controller.fairshare.sentence import duration, sentence
from fairuse_protocol.messages import RESOURCES

_MOST_PICTURES = 6
_MOST_CASES = 200
_MOST_TENANTS = 8
_MOST_NAMES = 60
_NOTHING = Tally(0, 0, 0, 0.0)

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("controller.backtest.reporting"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_page(played: Played, directory: Path, *, style: str) -> Path:
    """Write `index.html` into the folder; `style` is the CSS that all pages share.

    Raises OSError where it cannot be written.
    """
    page = _templates.get_template("report.html.j2").render(_values(played), style=Markup(style))  # noqa: S704 - our own file
    path = directory / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class _Row:
    """A name, and each policy's counts, with the part that its cases are of the most."""

    name: str
    counts: tuple[tuple[Tally, float], ...]


@dataclass(frozen=True, slots=True)
class _ToldCase:
    """One case in words."""

    host: str
    tenant: str
    resource: str
    opened: str
    sentence: str
    followed: str
    picture: Markup | None


def _values(played: Played) -> dict[str, object]:
    outcomes, extent = played.outcomes, played.extent
    by_tenant, when = _by_tenant(outcomes), None
    if extent.began_at is not None and extent.ended_at is not None:
        when = span(extent.began_at, extent.ended_at)
    return {
        "name": played.name,
        "when": when,
        "scale": f"{counted(played.hosts, 'host')}, {counted(played.tenants, 'customer')}, "
        f"{counted(extent.tenant_intervals, 'tenant-interval')}",
        "labels": [outcome.label for outcome in outcomes],
        "headlines": [headline(played, outcome) for outcome in outcomes],
        "figures": _key_figures(played),
        "charts": _charts(played),
        "chart_size": {
            name: getattr(bars, name)
            for name in ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")
        },
        "by_resource": _by_resource(outcomes),
        "by_tenant": by_tenant[:_MOST_TENANTS],
        "more_tenants": len(by_tenant) > _MOST_TENANTS,
        "differences": _differences(*outcomes) if len(outcomes) > 1 else None,
        "cases": [_told(outcome, number) for number, outcome in enumerate(outcomes)],
        "any_case": any(outcome.events.total().cases for outcome in outcomes),
        "note": order_note(played),
    }


def _key_figures(played: Played) -> list[tuple[str, list[str]]]:
    """What is counted, and each policy's count."""
    totals = [outcome.events.total() for outcome in played.outcomes]
    return [
        (
            "customers written to",
            [f"{len(outcome.written_to()):,}" for outcome in played.outcomes],
        ),
        ("cases", [f"{total.cases:,}" for total in totals]),
        ("notices", [f"{total.notices:,}" for total in totals]),
        ("limits", [f"{total.limits:,}" for total in totals]),
        ("minutes limited", [f"{total.limited_minutes:,.0f}" for total in totals]),
    ]


def _charts(played: Played) -> list[BarChart]:
    periods = Periods.of(played.extent)
    if not periods.begins:
        return []
    counts = [
        periods.each(outcome.events.by_time(periods.seconds, periods.origin))
        for outcome in played.outcomes
    ]
    labels = [periods.label(begin) for begin in periods.begins]
    names = [periods.title(begin) for begin in periods.begins]

    def chart(title: str, unit: str, kind: str) -> BarChart:
        series = [
            Series(outcome.label, [getattr(tally, kind) for tally in tallies])
            for outcome, tallies in zip(played.outcomes, counts, strict=True)
        ]
        return bars.lay_out(f"{title} by {periods.name}", unit, labels, names, series)

    return [
        chart("Cases", "case", "cases"),
        chart("Minutes limited", "minute", "limited_minutes"),
    ]


def _by_resource(outcomes: Sequence[Outcome]) -> list[_Row]:
    counts = [dict(outcome.events.by("resource")) for outcome in outcomes]
    rows = [
        (resource_name(resource), [c.get(resource, _NOTHING) for c in counts])
        for resource in RESOURCES
    ]
    return _rows(rows)


def _by_tenant(outcomes: Sequence[Outcome]) -> list[_Row]:
    counts = [dict(outcome.events.by("tenant")) for outcome in outcomes]
    tenants = {tenant for count in counts for tenant in count}
    rows = [(tenant, [count.get(tenant, _NOTHING) for count in counts]) for tenant in tenants]
    rows.sort(key=lambda row: (-max(tally.cases for tally in row[1]), row[0]))
    return _rows(rows)


def _rows(rows: Sequence[tuple[str, Sequence[Tally]]]) -> list[_Row]:
    most = max((tally.cases for _, tallies in rows for tally in tallies), default=0) or 1
    return [
        _Row(name, tuple((tally, tally.cases / most) for tally in tallies))
        for name, tallies in rows
    ]


def _differences(first: Outcome, second: Outcome) -> list[tuple[str, int, str]]:
    """By whom which customers would have been written to: how many, and who."""
    one, other = first.written_to(), second.written_to()
    return [
        ("By both", len(one & other), _names(one & other)),
        (f"Only by {first.label}", len(one - other), _names(one - other)),
        (f"Only by {second.label}", len(other - one), _names(other - one)),
    ]


def _names(tenants: set[str]) -> str:
    shown = ", ".join(sorted(tenants)[:_MOST_NAMES])
    more = len(tenants) - _MOST_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown


def _told(outcome: Outcome, number: int) -> dict[str, object]:
    """The cases that cost customers most, the first few with their pictures."""
    total = outcome.events.total().cases
    told = [
        _told_case(case, f"case-{number}-{place}" if place < _MOST_PICTURES else None)
        for place, case in enumerate(outcome.events.cases(_MOST_CASES))
    ]
    return {"label": outcome.label, "total": total, "told": told, "pictures": told[:_MOST_PICTURES]}


def _told_case(case: PastCase, picture_id: str | None) -> _ToldCase:
    picture = None
    if picture_id is not None:
        picture = Markup(draw_svg(lay_out_evidence(case.evidence), element_id=picture_id))  # noqa: S704 - escaped there
    return _ToldCase(
        host=case.host,
        tenant=case.tenant,
        resource=resource_name(case.resource),
        opened=moment(case.opened_at),
        sentence=sentence(case.evidence, whose=your_server(case.tenant)),
        followed=_followed(case),
        picture=picture,
    )


def _followed(case: PastCase) -> str:
    """What came after a case was opened."""
    parts = ["Written to at once." if case.tally.notices else "Not written to."]
    if case.tally.limits:
        times = "" if case.tally.limits == 1 else f" {case.tally.limits} times,"
        parts.append(f"Limited{times} for {duration(case.tally.limited_minutes * 60)}.")
    if case.closed_at is None:
        parts.append("Still open when the trace ends.")
    else:
        parts.append(f"Closed after {duration(case.closed_at - case.opened_at)}. {case.closing}")
    return " ".join(parts)
