"""One report's figures by the column, as a table of measured intervals is made of.

Runs for every report that comes in, so nothing is worked out here that a table can do for many
reports at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairuse_protocol.reports import Capacity, DiskUsage, Report, TenantUsage, UplinkActivity

Floats = NDArray[np.float64]

AMOUNTS = (
    "cpu_cores",
    "disk_bytes_per_second",
    "disk_operations_per_second",
    "net_in_bytes_per_second",
    "net_out_bytes_per_second",
)
"""What is counted, in the order of the first axis of arrays of rates and of capacities."""


class Figures(NamedTuple):
    """What one report says, in amounts over its interval. What was not measured is NaN."""

    ended_at: float
    seconds: float
    tenants: tuple[str, ...]
    columns: Floats
    """(9, n): a tenant's weight, its use in the order of AMOUNTS, then `cpu_waiting_seconds`,
    `io_waiting_seconds` and `cpu_throttled_seconds`."""
    delivered: tuple[float, ...]
    """What the whole host did, in the order of AMOUNTS."""
    known: tuple[float | None, ...]
    """What it is said to be able to do a second, in the order of AMOUNTS."""
    waiting_seconds: tuple[float | None, float | None]
    """In which anybody waited for the CPU, and for a disk."""
    queueing: tuple[float, float]
    """Share of packets that were dropped or held back at an uplink, in and out."""
    disk_busy: float
    """Share of the interval in which the busiest disk was busy."""

    @property
    def delivered_rates(self) -> Floats:
        """`delivered` a second: (5)."""
        return np.array(self.delivered, np.float64) / self.seconds


_of_tenant = attrgetter(
    "tenant",
    "weight",
    "cpu_seconds",
    "disks",
    "net_in_bytes",
    "net_out_bytes",
    "cpu_waiting_seconds",
    "io_waiting_seconds",
    "cpu_throttled_seconds",
)


def gather(report: Report) -> Figures:
    """The figures of one report."""
    host, tenants = report.usage, report.tenants
    by_column = zip(*map(_of_tenant, tenants), strict=True) if tenants else iter(((),) * 9)
    names, weights, cpu, disks, net_in, net_out, *waiting = by_column
    columns = np.array([weights, cpu, *_disk_amounts(disks), net_in, net_out, *waiting], np.float64)
    uplinks = host.uplinks
    capacity, uplinks = host.capacity, host.uplinks
    net_in_bytes: float = sum([uplink.in_bytes for uplink in uplinks])
    net_out_bytes: float = sum([uplink.out_bytes for uplink in uplinks])
    in_a_packet, out_a_packet = _bytes_a_packet(capacity)
    if in_a_packet or out_a_packet:
        a_packet = np.array([[in_a_packet], [out_a_packet]])
        columns[4:6] = np.maximum(columns[4:6], _packets(tenants) * a_packet)
        in_packets = sum([uplink.in_packets for uplink in uplinks])
        out_packets = sum([uplink.out_packets for uplink in uplinks])
        net_in_bytes = max(net_in_bytes, in_packets * in_a_packet)
        net_out_bytes = max(net_out_bytes, out_packets * out_a_packet)
    return Figures(
        ended_at=report.started_at + report.seconds,
        seconds=report.seconds,
        tenants=names,
        columns=columns,
        delivered=(
            host.cpu_busy_seconds,
            sum([disk.read_bytes + disk.written_bytes for disk in host.disks]),
            sum([disk.reads + disk.writes for disk in host.disks]),
            net_in_bytes,
            net_out_bytes,
        ),
        known=(
            capacity.cpu_cores,
            capacity.disk_bytes_per_second,
            capacity.disk_operations_per_second,
            capacity.net_in_bytes_per_second,
            capacity.net_out_bytes_per_second,
        ),
        waiting_seconds=(host.cpu_waiting_seconds, host.io_waiting_seconds),
        queueing=(_queueing(uplinks, "in"), _queueing(uplinks, "out")),
        disk_busy=_busiest(report),
    )


def _disk_amounts(disks: Iterable[tuple[DiskUsage, ...]]) -> tuple[list[int], list[int]]:
    """Bytes and operations of each tenant, over all its disks, both directions."""
    all_bytes, all_operations = [], []
    for devices in disks:
        moved = operations = 0
        for device in devices:
            moved += device.read_bytes + device.written_bytes
            operations += device.reads + device.writes
        all_bytes.append(moved)
        all_operations.append(operations)
    return all_bytes, all_operations


def _packets(tenants: tuple[TenantUsage, ...]) -> Floats:
    """In and out, by tenant: (2, n)."""
    counts = [(tenant.net_in_packets, tenant.net_out_packets) for tenant in tenants]
    return np.array(counts, np.float64).reshape(-1, 2).T


def _bytes_a_packet(capacity: Capacity) -> tuple[float, float]:
    """What a packet counts for, in and out. Where packets fill the host before bytes do, their
    part of what it can forward is told as the same part of its bytes. 0: bytes alone count.
    """
    return (
        (capacity.net_in_bytes_per_second or 0) / (capacity.net_in_packets_per_second or math.inf),
        (capacity.net_out_bytes_per_second or 0)
        / (capacity.net_out_packets_per_second or math.inf),
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
