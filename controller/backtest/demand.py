"""What every tenant of a trace asks for: the truth that imports and injections start from.

The whole of it is in memory, 20 bytes for a tenant and interval: a month of 120 tenants at one
minute is 107 MB. Reading and replaying a trace needs none of this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from controller.backtest.hosting import Load, deliver
from controller.backtest.layout import (
    FIGURE_COLUMNS,
    USE_COLUMNS,
    WAIT_COLUMNS,
    HostCapacity,
    TraceError,
)
from controller.backtest.registry import Weights, write_hosts
from controller.backtest.trace import Trace
from controller.backtest.writer import Form, SampleWriter, TraceWriter

CHUNK_INTERVALS = 1440

ExtraWaits = Mapping[str, npt.NDArray[np.float64]]
"""By host, wait column x interval x tenant: waiting that the model knows no cause of."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand on a regular grid of time. Tenants are in order of host and name."""

    ends: npt.NDArray[np.int64]
    """When each interval ends, seconds since the epoch."""
    seconds: int
    """The length of every interval."""
    capacities: dict[str, HostCapacity]
    """What each host truly can deliver."""
    tenants: tuple[tuple[str, str], ...]
    """Host and tenant of each column."""
    weights: npt.NDArray[np.float64]
    figures: npt.NDArray[np.float32]
    """Use column x interval x tenant; NaN where a tenant is not there."""

    def columns(self, host: str) -> slice:
        """Where the host's tenants stand."""
        places = [place for place, (where, _) in enumerate(self.tenants) if where == host]
        return slice(places[0], places[-1] + 1) if places else slice(0, 0)

    def load(self, host: str, when: slice) -> Load:
        """What is asked of one host in these intervals."""
        columns = self.columns(host)
        return Load(
            self.figures[:, when, columns].astype(np.float64),
            self.weights[columns],
            self.capacities[host].figures(),
        )

    def chunks(self) -> Iterator[slice]:
        """All intervals, some at a time."""
        for begin in range(0, len(self.ends), CHUNK_INTERVALS):
            yield slice(begin, min(begin + CHUNK_INTERVALS, len(self.ends)))

    def weights_by_name(self) -> Weights:
        """As the tenants table has them."""
        return dict(zip(self.tenants, self.weights.tolist(), strict=True))


def read_demand(directory: Path) -> Demand:
    """The demand of an imported trace; TraceError where its intervals make no regular grid."""
    trace = Trace.open_demand(directory)
    tenants = tuple(sorted(trace.weights))
    column_of = np.full((len(trace.hosts), len(trace.tenant_names)), -1, dtype=np.int64)
    for column, (host, tenant) in enumerate(tenants):
        column_of[trace.names.host_codes[host], trace.names.tenant_codes[tenant]] = column
    parts, lengths = [], set()
    for batch in trace.intervals():
        interval = np.repeat(np.arange(len(batch)), np.diff(batch.starts))
        columns = column_of[batch.host[interval], batch.tenant]
        figures = [getattr(batch.used, name).astype(np.float32) for name in USE_COLUMNS]
        parts.append((batch.time[interval], columns, np.stack(figures)))
        lengths.update(np.unique(batch.row_seconds).tolist())
    if len(lengths) != 1 or not all(length.is_integer() for length in lengths):
        raise TraceError(
            f"{trace.samples}: expected intervals of one length in whole seconds, "
            f"found {sorted(lengths)}; import the trace again"
        )
    seconds = int(lengths.pop())
    ends, grid = _grid(parts, seconds, len(tenants))
    weights = np.array([trace.weights[key] for key in tenants])
    return Demand(ends, seconds, trace.hosts, tenants, weights, grid)


def _grid(
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]],
    seconds: int,
    tenants: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    first = min(int(time.min()) for time, _, _ in parts if len(time))
    last = max(int(time.max()) for time, _, _ in parts if len(time))
    ends = np.arange(first, last + 1, seconds, dtype=np.int64)
    grid = np.full((len(USE_COLUMNS), len(ends), tenants), np.nan, dtype=np.float32)
    for time, column, figures in parts:
        grid[:, (time - first) // seconds, column] = figures
    return ends, grid


def write_trace(
    demand: Demand,
    directory: Path,
    form: Form,
    *,
    recorded: Mapping[str, HostCapacity],
    extra_waits: ExtraWaits,
) -> Iterator[int]:
    """Deliver the demand and write the trace, with the demand and the truth beside it.

    `recorded` are the capacities that hosts.csv states. Yields how many intervals of all hosts
    are done, for whoever shows progress.
    """
    write_hosts(_made(directory) / "truth.csv", demand.capacities)
    with (
        TraceWriter(directory, recorded, demand.weights_by_name(), form) as writer,
        contextlib.closing(SampleWriter(directory, "demand", form)) as asked,
    ):
        for when in demand.chunks():
            delivered = [
                _delivered_rows(demand, host, when, extra_waits) for host in demand.capacities
            ]
            writer.write(_joined(delivered))
            asked.write(_joined([_demand_rows(demand, host, when) for host in demand.capacities]))
            yield when.stop


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


Columns = dict[str, npt.NDArray[np.generic]]


def _delivered_rows(demand: Demand, host: str, when: slice, extra_waits: ExtraWaits) -> Columns:
    load = demand.load(host, when)
    delivered = deliver(load)
    waits, own = delivered.waits, delivered.own_waits
    if host in extra_waits:
        extra = extra_waits[host][:, when]
        waits = 1 - (1 - waits) * (1 - extra)
        own = 1 - (1 - own) * (1 - extra.max(axis=2))
    rows = _rows(demand, host, when, delivered.used, waits)
    there = own[:, ~np.isnan(own).all(axis=0)]
    ends = demand.ends[when][~np.isnan(own).all(axis=0)]
    # What no tenant accounts for is taken as nothing.
    own_rows: Columns = {
        "time": ends,
        "host": np.full(len(ends), host),
        "tenant": np.full(len(ends), ""),
        "seconds": np.full(len(ends), float(demand.seconds)),
        **{name: np.zeros(len(ends)) for name in USE_COLUMNS},
        **dict(zip(WAIT_COLUMNS, there, strict=True)),
    }
    return _joined([own_rows, rows])


def _demand_rows(demand: Demand, host: str, when: slice) -> Columns:
    asked = demand.load(host, when).demand
    return _rows(demand, host, when, asked, np.full((3, *asked.shape[1:]), np.nan))


def _rows(
    demand: Demand,
    host: str,
    when: slice,
    used: npt.NDArray[np.float64],
    waits: npt.NDArray[np.float64],
) -> Columns:
    names = np.array([tenant for _, tenant in demand.tenants[demand.columns(host)]] or [""])
    there = ~np.isnan(used).all(axis=0)
    interval, tenant = np.nonzero(there)
    figures = np.concatenate((used, waits))[:, interval, tenant]
    return {
        "time": demand.ends[when][interval],
        "host": np.full(len(interval), host),
        "tenant": names[tenant],
        "seconds": np.full(len(interval), float(demand.seconds)),
        **dict(zip(FIGURE_COLUMNS, figures, strict=True)),
    }


def _joined(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
