"""Exports as tables for people and as comma-separated values for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.table import Table

from controller.web.export_messages import LimitedTime, LimitedTotal
from fairuse_cli import figures
from fairuse_protocol.messages import Allowance

_BY_RULE = "the rule"
_INTERVAL_COLUMNS = (
    "tenant",
    "host",
    "held",
    "from",
    "until",
    "seconds",
    "goes_on",
    "allowance_cores",
    "allowance_bytes_per_second",
    "allowance_operations_per_second",
    "ordered_by",
    "case",
    "order",
)
_TOTAL_COLUMNS = ("tenant", "limited_seconds", "suspended_seconds", "orders")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a cell for a formula (OWASP, "CSV Injection")."""


def intervals_csv(intervals: Iterable[LimitedTime]) -> str:
    """A line an interval, below the names of the columns."""
    return _csv(_INTERVAL_COLUMNS, (_interval_cells(each) for each in intervals))


def totals_csv(totals: Iterable[LimitedTotal]) -> str:
    """A line a tenant, below the names of the columns."""
    return _csv(
        _TOTAL_COLUMNS,
        (
            (
                each.tenant,
                _number(each.limited_seconds),
                _number(each.suspended_seconds),
                each.orders,
            )
            for each in totals
        ),
    )


def intervals_table(intervals: Sequence[LimitedTime]) -> Table:
    """A line an interval."""
    table = _table("tenant", "host", "held", "from (UTC)", "for", "ordered by", "case")
    for each in intervals:
        lasted = figures.length(each.seconds)
        table.add_row(
            each.tenant,
            each.host,
            each.held,
            f"{each.begins:%Y-%m-%d %H:%M:%S}",
            f"{lasted}, goes on" if each.goes_on else lasted,
            each.ordered_by or _BY_RULE,
            each.case,
        )
    return table


def totals_table(totals: Sequence[LimitedTotal]) -> Table:
    """A line a tenant."""
    table = _table("tenant", "limited", "of that suspended", "orders")
    for each in totals:
        table.add_row(
            each.tenant,
            figures.length(each.limited_seconds),
            figures.length(each.suspended_seconds),
            str(each.orders),
        )
    return table


def _interval_cells(each: LimitedTime) -> tuple[object, ...]:
    allowance = each.allowance or Allowance()
    return (
        each.tenant,
        each.host,
        each.held,
        _iso(each.begins),
        _iso(each.until),
        _number(each.seconds),
        "yes" if each.goes_on else "no",
        _number(allowance.cores),
        _number(allowance.bytes_per_second),
        _number(allowance.operations_per_second),
        each.ordered_by or _BY_RULE,
        each.case,
        each.order,
    )


def _csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return written.getvalue()


def _cell(value: object) -> object:
    """Names are strangers' text, and must not run as a formula in whoever's spreadsheet."""
    formula = isinstance(value, str) and value.startswith(_FORMULA_STARTS)
    return f"'{value}" if formula else value


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 3):.15g}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(*columns: str) -> Table:
    table = Table(
        box=None, padding=(0, 1), pad_edge=False, collapse_padding=True, header_style="bold"
    )
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
