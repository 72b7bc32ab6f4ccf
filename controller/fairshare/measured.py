"""Reports turned into what the rule needs of them: who used how much, and who waited.

Intervals are measured and judged by the table, so that a live report (a table of one interval)
and a trace of a million go through the same arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairuse_protocol.messages import RESOURCES, Resource
from fairuse_protocol.reports import Capacity, DiskUsage, Report, UplinkActivity

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROW: dict[Resource, int] = {resource: row for row, resource in enumerate(RESOURCES)}
"""Where each resource stands in the first axis of a table's arrays."""


AMOUNTS = (
    "cpu_cores",
    "disk_bytes_per_second",
    "disk_operations_per_second",
    "net_in_bytes_per_second",
    "net_out_bytes_per_second",
)
"""What is counted, in the order of the first axis of arrays of rates and of capacities."""
_LEAST = 1e-9
"""Under every capacity, so that nothing is divided by zero."""
_DISK, _NET = slice(1, 3), slice(3, 5)
_OF_RESOURCE = [0, 1, 3, 4]
"""Where in AMOUNTS each of RESOURCES is; of a disk's two, the first."""


class Spans(NamedTuple):
    """How `m` intervals lie in a table of `n` rows, a row for each tenant of each interval."""

    ended_at: Floats
    """(m)"""
    seconds: Floats
    """(m)"""
    starts: Integers
    """(m): the first row of each interval. Only a report of no tenants at all has none."""
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


_figures_of = attrgetter(
    "tenant",
    "weight",
    "cpu_seconds",
    "net_in_bytes",
    "net_out_bytes",
    "cpu_waiting_seconds",
    "cpu_throttled_seconds",
    "io_waiting_seconds",
    "disks",
)


def measure(
    report: Report, delivered: Floats | None = None, peaks: Floats | None = None
) -> Measured:
    """Rates and shares of time out of a report's amounts: a table of one interval.

    `delivered` is what `delivered_rates` says of the report, for who has it already, and `peaks`
    what it has been at the most, until now.

    Runs for every report that comes in, so figures are gathered by the column.
    """
    seconds, host, tenants = report.seconds, report.usage, report.tenants
    count = len(tenants)
    if delivered is None:
        delivered = delivered_rates(report)
    columns = zip(*map(_figures_of, tenants), strict=True) if count else iter(((),) * 9)
    names, weights, cpu, net_in, net_out, cpu_waiting, throttled, io_waiting, disks = columns
    used = np.empty((len(AMOUNTS), count))
    used[0], used[_DISK], used[3], used[4] = cpu, _disk_amounts(disks), net_in, net_out
    bytes_a_packet = _bytes_a_packet(host.capacity)
    if bytes_a_packet.any():
        packets = np.array([[t.net_in_packets, t.net_out_packets] for t in tenants]).reshape(-1, 2)
        used[_NET] = np.maximum(used[_NET], packets.T * bytes_a_packet)
    queueing = [_queueing(host.uplinks, direction) for direction in ("in", "out")]
    waiting = np.empty((len(RESOURCES), count))
    # A figure that is None becomes NaN.
    waiting[:2] = np.array([cpu_waiting, io_waiting], np.float64)
    # Time throttled by a quota of its own shows as waiting, but no neighbour caused it.
    waiting[0] -= throttled
    waiting[:2] /= seconds
    # The network's cannot be measured per tenant: the uplink's stands for everybody's.
    waiting[2], waiting[3] = queueing
    host_waiting = np.array([host.cpu_waiting_seconds, host.io_waiting_seconds], np.float64)
    return assemble(
        Spans(
            ended_at=np.array([report.started_at + seconds]),
            seconds=np.array([seconds]),
            starts=np.zeros(1, np.int64),
            interval_of_row=np.zeros(count, np.int64),
            tenants=(names,),
        ),
        np.array(weights, np.float64),
        used / seconds,
        waiting,
        delivered=delivered,
        peaks=delivered if peaks is None else peaks,
        known=_known(host.capacity),
        host_waiting=np.array([*(host_waiting / seconds), *queueing])[:, None],
        disk_busy=np.array([_busiest(report)]),
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


_figures_of_disk = attrgetter("read_bytes", "written_bytes", "reads", "writes")


def _disk_amounts(disks: tuple[tuple[DiskUsage, ...], ...]) -> Floats:
    """Bytes and operations of each tenant, over all its disks, both directions: (2, n)."""
    figures = [_figures_of_disk(device) for devices in disks for device in devices]
    each = np.array(figures, np.float64).reshape(len(figures), 4)
    owner = np.repeat(np.arange(len(disks)), [len(devices) for devices in disks])
    count = len(disks)
    return np.array(
        [
            np.bincount(owner, each[:, 0] + each[:, 1], count),
            np.bincount(owner, each[:, 2] + each[:, 3], count),
        ]
    )


def delivered_rates(report: Report) -> Floats:
    """What the whole host did, in the order of AMOUNTS: (5, 1)."""
    host = report.usage
    amounts = np.array(
        [
            [host.cpu_busy_seconds],
            [sum([disk.read_bytes + disk.written_bytes for disk in host.disks])],
            [sum([disk.reads + disk.writes for disk in host.disks])],
            [sum([uplink.in_bytes for uplink in host.uplinks])],
            [sum([uplink.out_bytes for uplink in host.uplinks])],
        ],
        np.float64,
    )
    packets = [
        [sum([uplink.in_packets for uplink in host.uplinks])],
        [sum([uplink.out_packets for uplink in host.uplinks])],
    ]
    amounts[_NET] = np.maximum(amounts[_NET], packets * _bytes_a_packet(host.capacity))
    rates: Floats = amounts / report.seconds
    return rates


def _bytes_a_packet(capacity: Capacity) -> Floats:
    """What a packet counts for, in and out: (2, 1). Where packets fill the host before bytes do,
    their part of what it can forward is told as the same part of its bytes. 0: bytes alone count.
    """
    return np.array(
        [
            [
                (capacity.net_in_bytes_per_second or 0)
                / (capacity.net_in_packets_per_second or math.inf)
            ],
            [
                (capacity.net_out_bytes_per_second or 0)
                / (capacity.net_out_packets_per_second or math.inf)
            ],
        ]
    )


def _known(capacity: Capacity) -> Floats:
    """What the host is said to be able to do; None becomes NaN: (5, 1)."""
    return np.array(
        [
            [capacity.cpu_cores],
            [capacity.disk_bytes_per_second],
            [capacity.disk_operations_per_second],
            [capacity.net_in_bytes_per_second],
            [capacity.net_out_bytes_per_second],
        ],
        np.float64,
    )


def _busiest(report: Report) -> float:
    """Share of the interval in which the busiest disk was busy, or NaN."""
    busy = [disk.busy_seconds for disk in report.usage.disks if disk.busy_seconds is not None]
    return max(busy) / report.seconds if busy else math.nan


def _queueing(uplinks: tuple[UplinkActivity, ...], direction: str) -> float:
    """Share of packets that an uplink dropped or held back, of the uplink where it is worst."""
    worst = math.nan
    for uplink in uplinks:
        if direction == "in":
            packets, held_up = uplink.in_packets, uplink.in_dropped_packets
        else:
            packets = uplink.out_packets
            held_up = uplink.out_dropped_packets + uplink.out_delayed_packets
        share = min(1.0, held_up / max(1, packets))
        worst = share if math.isnan(worst) else max(worst, share)
    return worst
