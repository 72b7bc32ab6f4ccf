"""Numbers as each language writes them, and that they can be read back."""

from __future__ import annotations

import re

import pytest
from babel.numbers import parse_decimal
from hypothesis import given
from hypothesis import strategies as st

from controller.language.catalogue import languages
from controller.language.figures import (
    axis_number,
    duration,
    figure,
    from_now,
    percent,
    rate,
    times,
)

LANGUAGES = st.sampled_from(list(languages().values()))
AMOUNTS = st.just(0.0) | st.floats(1e-4, 1e5)
_PREFIXES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("value", "english", "danish"),
    [
        (0, "0", "0"),
        (0.004, "0.004", "0,004"),
        (0.0096, "0.01", "0,01"),
        (0.5, "0.5", "0,5"),
        (0.667, "0.67", "0,67"),
        (0.999, "1", "1"),
        (1.5, "1.5", "1,5"),
        (6.2, "6.2", "6,2"),
        (8, "8", "8"),
        (1024, "1024", "1024"),
    ],
)
def test_a_number_is_as_exact_as_people_need_it(value: float, english: str, danish: str) -> None:
    assert figure(value, languages()["en"]) == english
    assert figure(value, languages()["da"]) == danish


@pytest.mark.parametrize(
    ("share", "english", "danish"),
    [
        (0, "0 %", "0 %"),
        (0.0004, "0.04 %", "0,04 %"),
        (0.004, "0.4 %", "0,4 %"),
        (0.01, "1 %", "1 %"),
        (0.234, "23 %", "23 %"),
        (1, "100 %", "100 %"),
    ],
)
def test_a_small_share_is_not_hidden_by_whole_percents(
    share: float, english: str, danish: str
) -> None:
    assert percent(share, languages()["en"]) == english
    assert percent(share, languages()["da"]) == danish


@pytest.mark.parametrize(
    ("seconds", "english", "danish"),
    [
        (1, "1 second", "1 sekund"),
        (60, "1 minute", "1 minut"),
        (1200, "20 minutes", "20 minutter"),
        (3600, "1 hour", "1 time"),
        (86400, "1 day", "1 dag"),
    ],
)
def test_times_are_written_in_words(seconds: float, english: str, danish: str) -> None:
    assert duration(seconds, languages()["en"]) == english
    assert duration(seconds, languages()["da"]) == danish


def test_how_far_away_a_time_is_is_said_as_people_say_it() -> None:
    danish = languages()["da"]
    assert (from_now(10800), from_now(-1200)) == ("in 3 hours", "20 minutes ago")
    assert from_now(10800, danish) == "om 3 timer"
    assert from_now(-1200, danish) == "for 20 minutter siden"


def read_back(text: str, code: str) -> float:
    return float(parse_decimal(text, locale=code, strict=True))


@given(AMOUNTS, LANGUAGES)
def test_a_figure_reads_back_as_what_it_was(value, language) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them in
    read = read_back(figure(value, language), language.code)
    assert read == pytest.approx(value, rel=0.5, abs=0.0)
    assert abs(read - value) <= (0.0501 if value >= 1 else 0.00501)


@given(st.just(0.0) | st.floats(1e-6, 1), LANGUAGES)
def test_a_share_reads_back_as_what_it_was(share, language) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them in
    read = read_back(re.sub(r"\s*%\s*", "", percent(share, language)), language.code) / 100
    assert abs(read - share) <= 0.00501
    assert (read == 0) == (share == 0)


@given(st.floats(1, 1e13), LANGUAGES)
def test_a_rate_reads_back_as_what_it_was(value, language) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them in
    number, unit = rate(value, language).split(" ")
    factor = _PREFIXES[unit.removesuffix("bit/s")]
    assert read_back(number, language.code) * factor / 8 == pytest.approx(value, rel=0.006)
    assert len(re.sub(r"\D", "", number)) <= 3


@given(st.floats(0.05, 1e4), LANGUAGES)
def test_a_ratio_reads_back_as_what_it_was(value, language) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them in
    assert abs(read_back(times(value, language), language.code) - value) <= 0.0501


@given(st.sampled_from([1, 2, 2.5, 5]), st.integers(-3, 4), st.integers(0, 5), LANGUAGES)
def test_an_axis_shows_round_numbers_as_they_are(nice, power, n, language) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them in
    value = nice * 10.0**power * n
    assert read_back(axis_number(value, language), language.code) == pytest.approx(value)


@given(st.floats(0, 1e7), LANGUAGES)
def test_every_length_of_time_begins_with_its_number(seconds, language) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them in
    assert re.match(r"\d+ \w+$", duration(seconds, language))
