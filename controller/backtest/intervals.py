"""Whole intervals as columns: what a replay reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.backtest.checks import HOST_ITSELF, Codes, Floats, Integers, Names, Rows
from controller.backtest.layout import FIGURE_COLUMNS


@dataclass(frozen=True, slots=True)
class Figures:
    """The measured columns of rows. Use is a mean over the interval; NaN was not measured."""

    cpu_cores: Floats
    disk_bytes_per_second: Floats
    disk_ops_per_second: Floats
    net_in_bytes_per_second: Floats
    net_out_bytes_per_second: Floats
    cpu_wait: Floats
    """The waits are shares of the interval, 0 to 1."""
    io_wait: Floats
    net_wait: Floats


@dataclass(frozen=True, slots=True)
class IntervalBatch:
    """Whole intervals, sorted by time and host; an interval is all rows of one time and host.

    The rows of interval `i` are those from `starts[i]` to `starts[i + 1]`, sorted by tenant. A
    tenant that the tenants table has on the host and that has no row was not measured then.
    """

    time: Integers
    """The end of each interval, seconds since the epoch."""
    seconds: Floats
    """The length of each: the host's own row's, and without one the first tenant's."""
    host: Codes
    """Each interval's place in `Trace.host_names`."""
    starts: Integers
    """Where each interval's tenant rows begin, and at last the number of all rows."""
    own: Figures
    """Each host's own figures; NaN where it has no row of its own."""

    tenant: Codes
    """Each row's place in `Trace.tenant_names`."""
    weight: Floats
    row_seconds: Floats
    """The length of each row's interval; differs from `seconds` where rows of one differ."""
    used: Figures

    def __len__(self) -> int:
        return len(self.time)


def interval_batch(rows: Rows, names: Names) -> IntervalBatch:
    """Columns out of whole intervals' rows, which are in order of time, host and tenant."""
    begins = np.append(True, (rows.time[1:] != rows.time[:-1]) | (rows.host[1:] != rows.host[:-1]))
    first = np.flatnonzero(begins)
    # The host's own row sorts before its tenants, so it can only be an interval's first.
    has_own = rows.tenant[first] == HOST_ITSELF
    own_figures = [np.full(len(first), np.nan) for _ in FIGURE_COLUMNS]
    for column, figure in zip(own_figures, rows.figures, strict=True):
        column[has_own] = figure[first[has_own]]
    tenants = rows.take(rows.tenant != HOST_ITSELF)
    before = np.cumsum(has_own) - has_own
    starts = np.append(first - before, len(tenants)).astype(np.int64)
    return IntervalBatch(
        time=rows.time[first],
        seconds=rows.seconds[first],
        host=rows.host[first],
        starts=starts,
        own=Figures(*own_figures),
        tenant=tenants.tenant,
        weight=names.weights[names.places(tenants.host, tenants.tenant)],
        row_seconds=tenants.seconds,
        used=Figures(*tenants.figures),
    )
