"""Figures as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_cli import figures
from fairuse_protocol.messages import Resource

amounts = st.floats(min_value=0, max_value=1e6)
series = st.lists(st.tuples(amounts, st.floats(min_value=0.1, max_value=300)), min_size=1)


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 6.2, "6.2 cores"),
        ("cpu", 0.25, "0.25 cores"),
        ("cpu", 0.0, "0.0 cores"),
        ("cpu", 128.0, "128 cores"),
        ("net-out", 6e6, "48.0 Mbit/s"),
        ("net-in", 125e6, "1000 Mbit/s"),
        ("disk", 0.62, "62 % of the disks"),
        ("cpu", None, "? cores"),
    ],
)
def test_amounts_have_the_unit_that_people_use(
    resource: Resource, value: float | None, text: str
) -> None:
    assert figures.with_unit(resource, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.4, "0s"),
        (45, "45s"),
        (59.7, "1m"),
        (110, "1m 50s"),
        (3600, "1h"),
        (3 * 3600 + 12 * 60 + 30, "3h 12m"),
        (86400 * 2 + 3600, "2d 1h"),
    ],
)
def test_lengths_of_time_have_at_most_two_units(seconds: float, text: str) -> None:
    assert figures.length(seconds) == text


@given(series, st.integers(1, 80))
def test_averages_fill_the_width_and_stay_within_what_was_measured(
    pairs: list[tuple[float, float]], width: int
) -> None:
    values, seconds = zip(*pairs, strict=True)
    means = figures.averaged(values, seconds, width)
    assert width / 2 < len(means) <= width
    assert all(min(values) * 0.999999 <= mean <= max(values) * 1.000001 for mean in means)


def test_averages_are_weighted_by_the_intervals_lengths() -> None:
    assert figures.averaged([1.0, 4.0], [20.0, 10.0], 1) == [2.0]


@given(st.lists(amounts, min_size=1), st.integers(1, 10), st.booleans())
def test_the_highest_column_reaches_the_top_and_none_goes_over(
    values: list[float], height: int, plain: bool
) -> None:
    lines = figures.columns(values, max(values), height, plain=plain)
    assert len(lines) == height
    assert all(len(line) == len(values) for line in lines)
    if max(values) > 0:
        assert lines[0][values.index(max(values))] in "█#"


def test_columns_are_as_high_as_their_values() -> None:
    assert figures.columns([0.0, 1.0, 2.0, 1.5], 2.0, 2, plain=False) == ["  █▄", " ███"]
    assert figures.columns([0.0, 1.0, 2.0], 2.0, 2, plain=True) == ["  #", " ##"]


@given(st.floats(min_value=-1, max_value=10), st.integers(1, 40), st.booleans())
def test_a_bar_never_leaves_its_width(share: float, width: int, plain: bool) -> None:
    assert len(figures.bar(share, width, plain=plain)) <= width


def test_a_time_of_another_day_is_told_with_its_date() -> None:
    now = 1_700_000_000.0
    assert len(figures.clock(now - 1, now)) == len("23:59:59 UTC")
    assert figures.clock(now - 3 * 86400, now).startswith("2023-11-1")
