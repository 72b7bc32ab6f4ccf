"""Reports turned into what the rule needs of them: who used how much, and who waited.

Intervals are measured and judged by the table, so that the live reports of a moment and a trace
of a million go through the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.fairshare.figures import Figures, Floats
from fairuse_protocol.messages import RESOURCES, Resource

Integers = NDArray[np.int64]

ROW: dict[Resource, int] = {resource: row for row, resource in enumerate(RESOURCES)}
"""Where each resource stands in the first axis of a table's arrays."""
_LEAST = 1e-9
"""Under every capacity, so that nothing is divided by zero."""
_DISK = slice(1, 3)
_OF_RESOURCE = [0, 1, 3, 4]
"""Where in AMOUNTS each of RESOURCES is; of a disk's two, the first."""


class Spans(NamedTuple):
    """How `m` intervals lie in a table of `n` rows, a row for each tenant of each interval."""

    ended_at: Floats
    """(m)"""
    seconds: Floats
    """(m)"""
    starts: Integers
    """(m): the first row of each interval. An interval of no tenants is a table by itself."""
    interval_of_row: Integers
    """(n)"""
    tenants: tuple[tuple[str, ...], ...]
    """Of each interval, in the order of its rows."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Intervals, measured. First axis of two: RESOURCES; figures in each resource's own unit.

    `used` and `waiting` are (4, n), the others (4, m). What was not measured or is not known is
    NaN; a `capacity` that is not known is the most that was delivered until then.
    """

    spans: Spans
    weights: Floats
    used: Floats
    waiting: Floats
    capacity: Floats
    capacity_known: NDArray[np.bool_]
    host_waiting: Floats
    delivered: Floats
    utilisation: Floats
    near_peak: Floats
    """What was delivered, as a share of the most that the host was seen to deliver until then."""
    disk_bytes_per_second: Floats
    disk_operations_per_second: Floats
    """(m): what a disk share of 1 stands for; NaN where only the other one is known."""

    @property
    def ended_at(self) -> float:
        """The end of the newest interval."""
        return float(self.spans.ended_at[-1])


def measure(figures: Sequence[Figures], peaks: Floats | None = None) -> Measured:
    """Rates and shares of time out of amounts: a table of an interval for each report.

    `peaks` (5, m), in the order of AMOUNTS, is the most that each host had delivered before;
    without it, what it delivers now stands for that.
    """
    counts = [len(one.tenants) for one in figures]
    starts = np.array([0, *accumulate(counts[:-1])], np.int64)
    interval_of_row = np.repeat(np.arange(len(figures)), counts)
    of_hosts = np.array([_of_host(one) for one in figures], np.float64).T
    ended_at, seconds, disk_busy = of_hosts[:3]
    delivered, known = of_hosts[3:8] / seconds, of_hosts[8:13]
    host_waiting = of_hosts[13:17]
    host_waiting[:2] /= seconds
    columns = np.concatenate([one.columns for one in figures], axis=1)
    row_seconds = seconds[interval_of_row]
    waiting = np.empty((len(RESOURCES), len(interval_of_row)))
    # Time throttled by a quota of its own shows as waiting, but no neighbour caused it.
    waiting[:2] = columns[6:8]
    waiting[0] -= columns[8]
    waiting[:2] /= row_seconds
    # The network's cannot be measured per tenant: the uplink's stands for everybody's.
    waiting[2:] = host_waiting[2:, interval_of_row]
    return assemble(
        Spans(ended_at, seconds, starts, interval_of_row, tuple(one.tenants for one in figures)),
        columns[0],
        columns[1:6] / row_seconds,
        waiting,
        delivered=delivered,
        peaks=delivered if peaks is None else peaks,
        known=known,
        host_waiting=host_waiting,
        disk_busy=disk_busy,
    )


def _of_host(one: Figures) -> tuple[float | None, ...]:
    """What a report says of its host, in one row; None becomes NaN."""
    return (
        one.ended_at,
        one.seconds,
        one.disk_busy,
        *one.delivered,
        *one.known,
        *one.waiting_seconds,
        *one.queueing,
    )


def assemble(
    spans: Spans,
    weights: Floats,
    used: Floats,
    waiting: Floats,
    *,
    delivered: Floats,
    peaks: Floats,
    known: Floats,
    host_waiting: Floats,
    disk_busy: Floats,
) -> Measured:
    """A table out of rates, in the order of AMOUNTS: `used` by row; `delivered` in all, the most
    that was delivered before (`peaks`) and `known` capacities by interval; `waiting` in the order
    of RESOURCES.

    A host that delivers more than it is said to can do that much. The place of a capacity that is
    not known (NaN) is taken by the most that was delivered: under contention the two are near.
    """
    peaks = np.maximum(peaks, delivered)
    unknown = np.isnan(known)
    whole, disk_in_use = _disks(known[_DISK], delivered[_DISK], peaks[_DISK])
    disk_known = ~unknown[_DISK].all(axis=0)
    recorded = _by_resource(known, np.where(disk_known, 1.0, np.nan))
    in_use = _by_resource(delivered, disk_in_use)
    capacity = np.where(np.isnan(recorded), peaks[_OF_RESOURCE], np.fmax(recorded, in_use))
    capacity[1] = 1.0
    utilisation = in_use / np.maximum(capacity, _LEAST)
    utilisation[np.isnan(recorded)] = np.nan
    # Full of bytes or full of operations: with one of the two unknown, nobody can tell. A disk
    # that is busy all the time is full, whatever it moves.
    utilisation[1, unknown[_DISK].any(axis=0)] = np.nan
    utilisation[1] = np.fmax(utilisation[1], disk_busy)
    to_peak = delivered / np.maximum(peaks, _LEAST)
    return Measured(
        spans=spans,
        weights=weights,
        used=_by_resource(used, _larger_share(used[_DISK], whole[:, spans.interval_of_row])),
        waiting=np.minimum(np.maximum(waiting, 0.0), 1.0),
        capacity=capacity,
        capacity_known=~np.isnan(recorded),
        host_waiting=np.minimum(np.maximum(host_waiting, 0.0), 1.0),
        delivered=in_use,
        utilisation=utilisation,
        near_peak=_by_resource(to_peak, to_peak[_DISK].max(axis=0)),
        disk_bytes_per_second=np.where(unknown[1] & disk_known, np.nan, whole[0]),
        disk_operations_per_second=np.where(unknown[2] & disk_known, np.nan, whole[1]),
    )


def _by_resource(amounts: Floats, disk: Floats) -> Floats:
    """Amounts in the order of RESOURCES, with one figure for both of the disks'."""
    figures = amounts[_OF_RESOURCE]
    figures[1] = disk
    return figures


def _disks(known: Floats, delivered: Floats, peaks: Floats) -> tuple[Floats, Floats]:
    """What a disk share of 1 stands for, in bytes and operations, and the share that is in use."""
    whole = np.where(np.isnan(known), peaks, known)
    whole[whole <= 0] = np.nan
    share = _larger_share(delivered, whole)
    beyond = np.maximum(1.0, share)
    return whole * beyond, share / beyond


def _larger_share(amounts: Floats, whole: Floats) -> Floats:
    """Disk use as a share of what the disks can do: the larger of bytes and operations."""
    shares = amounts / whole
    larger: Floats = np.fmax(shares[0], shares[1])
    larger[np.isnan(larger)] = 0.0
    return larger
