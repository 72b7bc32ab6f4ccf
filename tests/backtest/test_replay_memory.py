"""However long a trace is, playing it takes no more memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from controller.backtest import tables
from controller.backtest.layout import FIGURE_COLUMNS, HostCapacity
from controller.backtest.outcome import play
from controller.backtest.trace import Trace
from controller.backtest.writer import TraceWriter
from tests.backtest.recordings import MINUTE, POLICY, START

HOSTS, TENANTS = 2, 5
CHUNK_MINUTES = 80


def record_chunks(directory: Path, chunks: int) -> Path:
    """Every host has a hog for the first twenty minutes of every chunk."""
    places = [(f"h{host}", f"h{host}t{one}") for host in range(HOSTS) for one in range(TENANTS)]
    host, tenant = (np.tile(names, CHUNK_MINUTES) for names in zip(*places, strict=True))
    minute = np.repeat(np.arange(1, CHUNK_MINUTES + 1), len(places))
    is_hog = np.array([name.endswith("t0") for name in tenant])
    nothing = np.zeros(len(minute))
    figures = dict.fromkeys(FIGURE_COLUMNS, nothing) | {
        "cpu_cores": np.where(is_hog & (minute <= 20), 7.0, 0.25),
        "cpu_wait": np.where(minute <= 20, 0.4, 0.0),
    }
    capacity = dict.fromkeys((place[0] for place in places), HostCapacity(cpu_cores=8.0))
    with TraceWriter(directory, capacity, dict.fromkeys(places, 1.0), "parquet") as writer:
        for chunk in range(chunks):
            time = START + MINUTE * (chunk * CHUNK_MINUTES + minute)
            seconds = nothing + MINUTE
            writer.write(
                {"time": time, "host": host, "tenant": tenant, "seconds": seconds, **figures}
            )
    return directory


def peak_bytes(directory: Path) -> tuple[int, int]:
    """The most memory that playing the trace took, and the cases that came of it."""
    tracemalloc.start()
    try:
        with play(Trace.open(directory), [("p", POLICY)], lambda _rows: None) as played:
            peak = tracemalloc.get_traced_memory()[1]
            return peak, played.outcomes[0].events.total().cases
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_length_of_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PARQUET_BATCH_ROWS", 500)
    short, long = record_chunks(tmp_path / "short", 8), record_chunks(tmp_path / "long", 48)
    peak_bytes(short)  # what is made once and kept
    short_peak, short_cases = peak_bytes(short)
    long_peak, long_cases = peak_bytes(long)
    assert long_cases >= 5 * short_cases > 0
    assert long_peak < 1.3 * short_peak
