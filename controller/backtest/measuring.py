"""A trace's intervals as what the rule looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.backtest.checks import Codes
from controller.backtest.intervals import Figures, IntervalBatch
from controller.backtest.layout import USE_COLUMNS
from controller.backtest.trace import Trace
from controller.fairshare.figures import Floats
from controller.fairshare.measured import Integers, Measured, Spans, assemble
from controller.fairshare.peaks import Peaks, follow, no_peaks

Booleans = NDArray[np.bool_]

_SATURATES_WITH = 0.85
"""Of the fuller direction's use: from here on a direction may have part in the network's waiting.
Recorded capacities are often off, so the two need not read the same when both are full."""


class Measurer:
    """Turns the batches of one trace into tables of measured intervals."""

    def __init__(self, trace: Trace) -> None:
        self.hosts = trace.host_names
        self._tenants = np.array(trace.tenant_names, dtype=object)
        capacities = [trace.hosts[host].figures() for host in self.hosts]
        self._known = np.array(capacities, np.float64).reshape(len(self.hosts), len(USE_COLUMNS)).T
        self._peaks: dict[int, Peaks] = {}
        """By host: the most that has been delivered so far."""
        self._name_cache: dict[bytes, tuple[str, ...]] = {}

    def measure(self, batch: IntervalBatch) -> tuple[Measured, list[str]]:
        """The batch's intervals that have tenants, and the host of each."""
        counts = np.diff(batch.starts)
        kept = np.flatnonzero(counts)
        starts = batch.starts[kept]
        in_row = np.repeat(np.arange(len(kept)), counts[kept])
        used, own = _use(batch.used), np.nan_to_num(_use(batch.own)[:, kept])
        np.nan_to_num(used, copy=False)
        delivered = np.add.reduceat(used, starts, axis=1) + own if len(kept) else own
        known = self._known[:, batch.host[kept]]
        waiting, host_waiting = _waiting(batch, kept, starts, in_row)
        directions = _directions_short(delivered[3:], known[3:])
        host_waiting[2:][~directions] = 0.0
        waiting[2:][~directions[:, in_row]] = 0.0
        ended_at = batch.time[kept].astype(np.float64)
        measured = assemble(
            Spans(
                ended_at=ended_at,
                seconds=batch.seconds[kept],
                starts=starts,
                interval_of_row=in_row,
                tenants=self._names(batch, kept),
            ),
            batch.weight,
            used,
            waiting,
            delivered=delivered,
            peaks=self._raise_peaks(delivered, batch.host[kept], ended_at),
            known=known,
            host_waiting=host_waiting,
            disk_busy=np.full(len(kept), np.nan),
        )
        return measured, [self.hosts[code] for code in batch.host[kept].tolist()]

    def _raise_peaks(self, delivered: Floats, hosts: Codes, ended_at: Floats) -> Floats:
        """The most that each interval's host had delivered by then."""
        peaks = np.empty_like(delivered)
        for host in np.unique(hosts).tolist():
            there = np.flatnonzero(hosts == host)
            before = self._peaks.get(host) or no_peaks(float(ended_at[there[0]]))
            peaks[:, there], self._peaks[host] = follow(
                before, delivered[:, there], ended_at[there]
            )
        return peaks

    def _names(self, batch: IntervalBatch, kept: Integers) -> tuple[tuple[str, ...], ...]:
        """Of each interval's tenants. A host mostly has the same ones as before."""
        names = []
        for index in kept.tolist():
            codes = batch.tenant[batch.starts[index] : batch.starts[index + 1]]
            key = codes.tobytes()
            known = self._name_cache.get(key)
            if known is None:
                if len(self._name_cache) > _CACHED_NAMES:
                    self._name_cache.clear()
                known = self._name_cache[key] = tuple(self._tenants[codes].tolist())
            names.append(known)
        return tuple(names)


_CACHED_NAMES = 10_000


def _use(figures: Figures) -> Floats:
    return np.array([getattr(figures, column) for column in USE_COLUMNS])


def _waiting(
    batch: IntervalBatch, kept: Integers, starts: Integers, in_row: Integers
) -> tuple[Floats, Floats]:
    """Of tenants and of hosts, by resource. A host waits when any of its tenants does, so where
    its own figure is missing the worst of its tenants' stands for it."""
    used, own = batch.used, batch.own
    waiting = np.array([used.cpu_wait, used.io_wait, used.net_wait, used.net_wait])
    hosts = np.array([own.cpu_wait, own.io_wait, own.net_wait, own.net_wait])[:, kept]
    if len(kept):
        worst = np.fmax.reduceat(waiting, starts, axis=1)
        hosts = np.where(np.isnan(hosts), worst, hosts)
        # Where a tenant's waiting for the network was not measured, the uplink's stands for it.
        waiting[2:] = np.where(np.isnan(waiting[2:]), hosts[2:, in_row], waiting[2:])
    return waiting, hosts


def _directions_short(delivered: Floats, known: Floats) -> Booleans:
    """Which direction of the network the waiting is about: a trace has one figure for both.

    The one that is fuller, or both where they are about as full. A direction of unknown capacity
    is as full as the other one leaves reason to wait; of two such, the busier is the fuller.
    """
    fullness = np.minimum(delivered / known, 1.0)
    other = fullness[::-1]
    busier = delivered / np.maximum(delivered.max(axis=0), 1e-9)
    guess = np.where(np.isnan(other), busier, 1.0 - other)
    fullness = np.where(np.isnan(fullness), guess, fullness)
    short: Booleans = fullness >= _SATURATES_WITH * fullness.max(axis=0)
    return short
