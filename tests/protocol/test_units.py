"""Durations, rates and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_protocol.units import Duration, Rate, Size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("2w", 1209600),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert Duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("50 Mbit/s", 6.25e6),
        ("1Gbit/s", 125e6),
        ("10 MB/s", 10e6),
        ("4 MiB/s", 4 * 2**20),
        ("800 bit/s", 100),
    ],
)
def test_rates_are_read_and_bits_are_not_bytes(text: str, bytes_per_second: float) -> None:
    assert Rate.parse(text) == pytest.approx(bytes_per_second)


@pytest.mark.parametrize(("text", "size"), [("64 MB", 64 * 10**6), ("2 GiB", 2 * 2**30)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(kind, text, id=f"{kind.__name__} {text!r}")
        for kind, texts in (
            (Duration, ["20", "", "m", "-5s", "20 minutes", "1h 30", "5 s extra"]),
            (Rate, ["50", "50 Mbit", "50 mbit/s", "-1 MB/s", "50 Mbits/s"]),
            (Size, ["64", "64 MB/s", "1.5.2 GB", "64 mB"]),
        )
        for text in texts
    ],
)
def test_what_has_no_clear_unit_is_refused_with_an_example(
    kind: type[Duration] | type[Rate] | type[Size], text: str
) -> None:
    with pytest.raises(ValueError, match=r"expected a .* such as"):
        kind.parse(text)


@given(st.integers(1, 10**7))
def test_a_duration_written_out_reads_back_the_same(seconds: int) -> None:
    assert Duration.parse(str(Duration(seconds))) == Duration(seconds)


@given(st.floats(1, 1e12))
def test_a_rate_written_out_reads_back_nearly_the_same(rate: float) -> None:
    assert Rate.parse(str(Rate(rate))) == pytest.approx(rate, rel=0.006)
    assert Rate.parse(Rate(rate).in_bits) == pytest.approx(rate, rel=0.006)
