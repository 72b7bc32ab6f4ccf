"""What was measured on each host over a whole trace, as arrays to vectorise rules over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring import Opened
from controller.backtest.measuring import Measurer
from controller.backtest.trace import Trace
from fairuse_protocol.messages import RESOURCES

Floats = NDArray[np.float64]
Condition = NDArray[np.bool_]
"""Resource x interval x tenant: where a rule finds fault."""

CLOSES_AFTER_SECONDS = 15 * 60
"""A case ends when its condition has been false for so long, as the default policy's do."""


@dataclass(frozen=True, slots=True)
class History:
    """One host, every interval in order of time. First axes: RESOURCES, then intervals.

    All is measured, nothing is demand or truth. A capacity that is not known is the most that
    the host was seen to deliver until then, as it is for the rule of this project.
    """

    host: str
    tenants: tuple[str, ...]
    ended_at: Floats
    """(m), seconds since the epoch."""
    seconds: float
    """The length of an interval."""
    share: Floats
    """(4, m, n): use over the host's capacity; 0 where a tenant was not there."""
    waiting: Floats
    """(4, m, n): share of the interval."""
    entitled: Floats
    """(m, n): weight over the weights present; NaN where a tenant was not there."""
    utilisation: Floats
    """(4, m)"""
    host_waiting: Floats
    """(4, m)"""

    def intervals(self, minutes: float) -> int:
        """How many intervals that is, one at least."""
        return max(1, round(minutes * 60 / self.seconds))


def cases(history: History, condition: Condition) -> Iterator[Opened]:
    """A case opens where the condition comes true, and lasts until it has been false for long."""
    for row, resource in enumerate(RESOURCES):
        for column in np.flatnonzero(condition[row].any(axis=0)):
            times = history.ended_at[condition[row, :, column]]
            begins = np.flatnonzero(np.diff(times, prepend=-np.inf) > CLOSES_AFTER_SECONDS)
            ends = np.append(begins[1:], len(times)) - 1
            for begin, end in zip(begins, ends, strict=True):
                yield Opened(
                    host=history.host,
                    tenant=history.tenants[column],
                    resource=resource,
                    at=float(times[begin]),
                    until=float(times[end]) + CLOSES_AFTER_SECONDS,
                )


@dataclass(slots=True)
class _Part:
    """One batch of one host, in rows."""

    ended_at: Floats
    interval: NDArray[np.int64]
    tenant: NDArray[np.int32]
    weights: Floats
    used: Floats
    waiting: Floats
    capacity: Floats
    utilisation: Floats
    host_waiting: Floats


def read_histories(trace: Trace) -> list[History]:
    """Every host's history. Intervals are taken to be of one length and without gaps."""
    measurer = Measurer(trace)
    parts: dict[int, list[_Part]] = {}
    seconds = 0.0
    for batch in trace.intervals():
        measured, _ = measurer.measure(batch)
        counts = np.diff(batch.starts)
        of_interval = batch.host[counts > 0]
        of_row = of_interval[measured.spans.interval_of_row]
        for host in np.unique(of_interval).tolist():
            mine, rows = of_interval == host, of_row == host
            place = np.cumsum(mine) - 1
            parts.setdefault(host, []).append(
                _Part(
                    ended_at=measured.spans.ended_at[mine],
                    interval=place[measured.spans.interval_of_row[rows]],
                    tenant=batch.tenant[rows],
                    weights=measured.weights[rows],
                    used=measured.used[:, rows],
                    waiting=measured.waiting[:, rows],
                    capacity=measured.capacity[:, mine],
                    utilisation=measured.utilisation[:, mine],
                    host_waiting=measured.host_waiting[:, mine],
                )
            )
            seconds = float(measured.spans.seconds[0])
    names = trace.tenant_names
    return [_joined(trace.host_names[host], names, seconds, parts[host]) for host in sorted(parts)]


def _joined(host: str, names: list[str], seconds: float, parts: list[_Part]) -> History:
    codes = np.unique(np.concatenate([part.tenant for part in parts]))
    offsets = np.cumsum([0, *(len(part.ended_at) for part in parts)])
    shape = (int(offsets[-1]), len(codes))
    used, waiting = np.zeros((2, len(RESOURCES), *shape))
    weights = np.full(shape, np.nan)
    for offset, part in zip(offsets, parts, strict=False):
        interval, column = part.interval + offset, np.searchsorted(codes, part.tenant)
        used[:, interval, column] = part.used
        waiting[:, interval, column] = np.nan_to_num(part.waiting)
        weights[interval, column] = part.weights
    capacity = np.concatenate([part.capacity for part in parts], axis=1)
    share = used / np.maximum(capacity, 1e-9)[:, :, None]
    utilisation = np.concatenate([part.utilisation for part in parts], axis=1)
    return History(
        host=host,
        tenants=tuple(names[code] for code in codes.tolist()),
        ended_at=np.concatenate([part.ended_at for part in parts]),
        seconds=seconds,
        share=share,
        waiting=waiting,
        entitled=weights / np.nansum(weights, axis=1, keepdims=True),
        utilisation=np.where(np.isnan(utilisation), share.sum(axis=2), utilisation),
        host_waiting=np.nan_to_num(np.concatenate([p.host_waiting for p in parts], axis=1)),
    )
