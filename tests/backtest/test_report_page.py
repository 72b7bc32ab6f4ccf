"""The page that a backtest writes: true, complete, and safe to open."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from controller.backtest.events import Tally
from controller.backtest.extent import Extent, expected_rows
from controller.backtest.outcome import play
from controller.backtest.reporting import bars
from controller.backtest.reporting.bars import Series
from controller.backtest.reporting.page import write_page
from controller.backtest.reporting.periods import Periods
from controller.backtest.trace import Trace
from controller.fairshare.policy import Policy
from tests.backtest.recordings import BUSY, MINUTE, POLICY, START, Interval, minutes, record

HOUR, DAY = 3600, 86_400
PLAN = minutes("c" * 10 + "b" * 14 + "c" * 26)


def page_of(directory: Path, *policies: tuple[str, Policy]) -> str:
    with play(Trace.open(directory), policies, lambda _rows: None) as played:
        return write_page(played, directory, style="").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Ids, what refers to them, and elements that stand open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled_by: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        self.labelled_by += (values.get("aria-labelledby") or "").split()
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_says_what_would_have_happened_and_what_the_customer_would_have_read(
    tmp_path: Path,
) -> None:
    page = page_of(record(tmp_path, PLAN), ("short", POLICY))
    headline = re.search(r"<h1>(.*?)</h1>", page)
    assert headline is not None
    assert headline[1] == (
        "Over 50 minutes on 1 host, 1 of 4 customers would have been written to, "
        "and limited for 5 minutes in all."
    )
    text = unescape(page)
    assert "your server hog used 4.1 of this machine's 8 CPU cores on average" in text
    assert "Written to at once. Limited for 5 minutes." in page


def test_every_picture_has_a_title_and_a_description(tmp_path: Path) -> None:
    page = page_of(record(tmp_path, PLAN), ("short", POLICY), ("default", Policy()))
    found = Elements(page)
    assert not found.open
    assert len(found.ids) == len(set(found.ids))
    assert found.labelled_by
    assert set(found.labelled_by) <= set(found.ids)
    assert page.count('role="img"') * 2 == len(found.labelled_by)
    assert "short: 1 case in all, 1 of them on 14 November 2023, 22:00." in page


def test_a_trace_in_which_nothing_happens_says_so(tmp_path: Path) -> None:
    page = page_of(record(tmp_path, minutes("c" * 20)), ("short", POLICY))
    assert "none of 4 customers would have been written to." in page
    assert "Nobody would have been bothered" in page
    assert "<table" not in page


def test_names_out_of_a_trace_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    name = '<script>alert("x")</script>'
    plan = [
        Interval(
            one.ended_at,
            {name if tenant == "hog" else tenant: cores for tenant, cores in one.used.items()},
            one.waiting,
        )
        for one in PLAN
    ]
    page = page_of(record(tmp_path, plan), (name, POLICY), ("b", Policy()))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_hundreds_of_cases_are_counted_and_the_heaviest_listed(tmp_path: Path) -> None:
    plan = [
        interval
        for host in range(5)
        for interval in minutes(("c" * 5 + "bbbb" + "c" * 6) * 50, host=f"h{host}")
    ]
    plan.sort(key=lambda one: (one.ended_at, one.host))
    page = page_of(record(tmp_path, plan), ("short", POLICY))
    assert "The 200 heaviest of 250 cases" in page
    assert page.count("<article") == 6


@pytest.mark.parametrize(
    ("seconds", "name", "places"),
    [(HOUR, "hour", 2), (2 * DAY, "hour", 49), (3 * DAY, "day", 4), (200 * DAY, "week", 29)],
)
def test_time_is_cut_so_that_a_chart_can_be_read(seconds: int, name: str, places: int) -> None:
    extent = Extent(began_at=START, ended_at=START + seconds)
    periods = Periods.of(extent)
    assert (periods.name, len(periods.begins)) == (name, places)
    assert periods.begins[0] <= START < periods.begins[1]


def test_what_ends_after_the_trace_counts_in_its_last_stretch() -> None:
    periods = Periods.of(Extent(began_at=START, ended_at=START + 3 * DAY))
    first, last = periods.begins[0], periods.begins[-1]
    counts = {first: Tally(1, 1, 0, 0.0), last: Tally(1, 1, 1, 2.5), last + DAY: Tally(0, 0, 0, 4)}
    each = periods.each(counts)
    assert each[0] == Tally(1, 1, 0, 0.0)
    assert each[-1] == Tally(1, 1, 1, 6.5)
    assert len(each) == 4


@pytest.mark.parametrize("highest", [0, 1, 3, 7, 99, 1234])
def test_bars_stay_in_the_plot_and_marks_are_few_whole_numbers(highest: int) -> None:
    values = [0.0, highest / 2, float(highest)]
    chart = bars.lay_out("t", "case", ["a", "b", "c"], ["A", "B", "C"], [Series("s", values)])
    assert all(bar.y >= bars.TOP for bar in chart.bars)
    assert all(bar.y + bar.height <= bars.BOTTOM + 0.02 for bar in chart.bars)
    assert 2 <= len(chart.y_marks) <= 6
    assert len(chart.bars) == sum(value > 0 for value in values)


@pytest.mark.parametrize("intervals", [3, 3000])
def test_how_many_rows_there_are_is_known_within_a_few_percent(
    tmp_path: Path, intervals: int
) -> None:
    plan = [Interval(START + MINUTE * n, BUSY) for n in range(1, intervals + 1)]
    directory = record(tmp_path, plan)
    rows = intervals * (len(BUSY) + 1)
    assert expected_rows(directory / "samples.csv") == pytest.approx(rows, rel=0.05, abs=1)
    assert expected_rows(tmp_path / "none.csv") == 0
