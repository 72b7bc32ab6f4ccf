"""One report turned into what the rule needs of it: who used how much, and who waited.

A report is measured once (`measure`), judged once (`judge`), and then kept in a compact form for
as long as the window reaches back.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.fairshare.evidence import Sample
from controller.fairshare.policy import Rule
from controller.fairshare.rule import classify, is_contended
from fairuse_protocol.messages import RESOURCES, Resource
from fairuse_protocol.reports import Report, UplinkActivity


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """One resource over one interval, in the resource's own unit (see evidence.py).

    `used` and `waiting` are in the order of the interval's tenants; a waiting that was not
    measured is NaN. `capacity` is what was delivered where what could be is not known.
    """

    capacity: float
    capacity_known: bool
    host_waiting: float | None
    utilisation: float
    used: array[float]
    waiting: array[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """One report, measured."""

    ended_at: float
    seconds: float
    tenants: tuple[str, ...]
    weights: array[float]
    resources: Mapping[Resource, ResourceUse]
    disk_bytes_per_second: float | None
    disk_operations_per_second: float | None
    """What a disk share of 1 stands for; None where only the other one is known."""

    def fair_share(self, resource: Resource, index: int) -> float:
        """Capacity x weight / sum of the weights of the tenants present (design, "The rule")."""
        return self.resources[resource].capacity * self.weights[index] / sum(self.weights)


@dataclass(frozen=True, slots=True)
class Contention:
    """What every tenant's sample of a contended interval shares."""

    harmed: Mapping[int, float]
    """Index of each harmed neighbour, and its share of the interval spent waiting."""
    total_excess: float
    """Everything used over fair share, by all tenants."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One judged interval, as compact as the window needs it."""

    ended_at: float
    seconds: float
    tenants: tuple[str, ...]
    weights: array[float]
    weight_sum: float
    capacities: Mapping[Resource, float]
    host_waiting: Mapping[Resource, float | None]
    utilisation: Mapping[Resource, float]
    used: Mapping[Resource, array[float]]
    contentions: Mapping[Resource, Contention]
    counting: frozenset[tuple[Resource, str]]
    """The tenants whose use of a resource counts against them in this interval."""
    _samples: dict[tuple[Resource, int], Sample] = field(default_factory=dict)
    """Those that were asked for: an open case asks for the same ones with every report."""

    def sample(self, resource: Resource, index: int) -> Sample:
        """This interval as it concerns one tenant and resource."""
        known = self._samples.get((resource, index))
        if known is None:
            known = self._samples[resource, index] = self._sample(resource, index)
        return known

    def _sample(self, resource: Resource, index: int) -> Sample:
        capacity = self.capacities[resource]
        fair_share = capacity * self.weights[index] / self.weight_sum
        used = self.used[resource][index]
        contention = self.contentions.get(resource)
        harmed: Mapping[int, float] = contention.harmed if contention else {}
        neighbours_harmed = len(harmed) - (index in harmed)
        waiting = sum(harmed.values()) - harmed.get(index, 0.0)
        excess = max(0.0, used - fair_share)
        return Sample(
            ended_at=self.ended_at,
            seconds=self.seconds,
            used=used,
            fair_share=fair_share,
            capacity=capacity,
            host_waiting=self.host_waiting[resource],
            utilisation=self.utilisation[resource],
            neighbours=len(self.tenants) - 1,
            neighbours_harmed=neighbours_harmed,
            neighbours_waiting=waiting / neighbours_harmed if neighbours_harmed else 0.0,
            cause_share=(
                excess / contention.total_excess if contention and contention.total_excess else 0.0
            ),
        )


def measure(report: Report) -> Measured:
    """Rates and shares of time out of a report's amounts."""
    tenants = report.tenants
    whole_bytes, whole_operations = _whole_disk(report)
    return Measured(
        ended_at=report.started_at + report.seconds,
        seconds=report.seconds,
        tenants=tuple([tenant.tenant for tenant in tenants]),
        weights=array("d", [tenant.weight for tenant in tenants]),
        resources={
            "cpu": _cpu(report),
            "disk": _disk(report),
            "net-in": _net_in(report),
            "net-out": _net_out(report),
        },
        disk_bytes_per_second=whole_bytes,
        disk_operations_per_second=whole_operations,
    )


def judge(measured: Measured, rule: Rule) -> Interval:
    """Find who is harmed, and whose use counts against them, in one interval."""
    contentions: dict[Resource, Contention] = {}
    for resource in RESOURCES:
        use = measured.resources[resource]
        thresholds = rule.thresholds(resource)
        if use.capacity > 0 and is_contended(use.host_waiting, use.utilisation, thresholds):
            contentions[resource] = _contention(measured, resource, thresholds.harmed_waiting)
    interval = Interval(
        ended_at=measured.ended_at,
        seconds=measured.seconds,
        tenants=measured.tenants,
        weights=measured.weights,
        weight_sum=sum(measured.weights),
        capacities={r: measured.resources[r].capacity for r in RESOURCES},
        host_waiting={r: measured.resources[r].host_waiting for r in RESOURCES},
        utilisation={r: measured.resources[r].utilisation for r in RESOURCES},
        used={r: measured.resources[r].used for r in RESOURCES},
        contentions=contentions,
        counting=frozenset(),
    )
    if not any(contention.harmed for contention in contentions.values()):
        return interval
    return _with_counting(interval, rule)


def _with_counting(interval: Interval, rule: Rule) -> Interval:
    counting = {
        (resource, tenant)
        for resource, contention in interval.contentions.items()
        if contention.harmed
        for index, tenant in enumerate(interval.tenants)
        if index not in contention.harmed
        and classify(interval.sample(resource, index), rule, rule.thresholds(resource))
        == "disproportionate"
    }
    return replace(interval, counting=frozenset(counting))


def _contention(measured: Measured, resource: Resource, harmed_waiting: float) -> Contention:
    use = measured.resources[resource]
    scale = use.capacity / sum(measured.weights) if measured.weights else 0.0
    harmed: dict[int, float] = {}
    total_excess = 0.0
    for index, (used, waiting, weight) in enumerate(
        zip(use.used, use.waiting, measured.weights, strict=True)
    ):
        excess = used - weight * scale
        if excess > 0:
            total_excess += excess
        # Where the uplink's waiting stands for everybody's, who sends nothing waits for nothing.
        elif waiting >= harmed_waiting and (used > 0 or resource in ("cpu", "disk")):
            harmed[index] = waiting
    return Contention(harmed=harmed, total_excess=total_excess)


def _cpu(report: Report) -> ResourceUse:
    seconds, host = report.seconds, report.usage
    cores = host.capacity.cpu_cores
    return ResourceUse(
        capacity=cores,
        capacity_known=True,
        host_waiting=_share(host.cpu_waiting_seconds, seconds),
        utilisation=host.cpu_busy_seconds / (cores * seconds),
        used=array("d", [tenant.cpu_seconds / seconds for tenant in report.tenants]),
        # Time throttled by a quota of its own shows as waiting, but no neighbour caused it.
        waiting=_shares(
            [
                math.nan
                if tenant.cpu_waiting_seconds is None
                else tenant.cpu_waiting_seconds - tenant.cpu_throttled_seconds
                for tenant in report.tenants
            ],
            seconds,
        ),
    )


def _disk(report: Report) -> ResourceUse:
    """Use as a share of what the disks can do: the larger of bytes and operations.

    Of a capacity that is not known, what was delivered takes the place: under contention the
    two are near each other, and without contention nobody is judged.
    """
    seconds, host = report.seconds, report.usage
    host_bytes = host_operations = 0
    busy = 0.0
    for disk in host.disks:
        host_bytes += disk.read_bytes + disk.written_bytes
        host_operations += disk.reads + disk.writes
        busy = max(busy, (disk.busy_seconds or 0.0) / seconds)
    whole_bytes, whole_operations = _whole_disk(report)
    bytes_scale = 1 / (whole_bytes * seconds) if whole_bytes else 0.0
    operations_scale = 1 / (whole_operations * seconds) if whole_operations else 0.0
    known = host.capacity.disk_bytes_per_second or host.capacity.disk_operations_per_second
    used = array("d")
    for tenant in report.tenants:
        tenant_bytes = tenant_operations = 0
        for device in tenant.disks:
            tenant_bytes += device.read_bytes + device.written_bytes
            tenant_operations += device.reads + device.writes
        by_bytes = tenant_bytes * bytes_scale
        by_operations = tenant_operations * operations_scale
        used.append(by_bytes if by_bytes > by_operations else by_operations)
    return ResourceUse(
        capacity=1.0,
        capacity_known=bool(known),
        host_waiting=_share(host.io_waiting_seconds, seconds),
        utilisation=(
            max(host_bytes * bytes_scale, host_operations * operations_scale) if known else busy
        ),
        used=used,
        waiting=_shares(
            [
                math.nan if tenant.io_waiting_seconds is None else tenant.io_waiting_seconds
                for tenant in report.tenants
            ],
            seconds,
        ),
    )


def _whole_disk(report: Report) -> tuple[float | None, float | None]:
    """What a disk share of 1 stands for, in bytes and operations per second.

    What is configured, and where nothing is, what was delivered.
    """
    capacity = report.usage.capacity
    if capacity.disk_bytes_per_second or capacity.disk_operations_per_second:
        return capacity.disk_bytes_per_second, capacity.disk_operations_per_second
    delivered_bytes = delivered_operations = 0
    for disk in report.usage.disks:
        delivered_bytes += disk.read_bytes + disk.written_bytes
        delivered_operations += disk.reads + disk.writes
    return delivered_bytes / report.seconds or None, delivered_operations / report.seconds or None


def _net_in(report: Report) -> ResourceUse:
    uplinks = report.usage.uplinks
    return _network(
        array("d", [tenant.net_in_bytes / report.seconds for tenant in report.tenants]),
        known_capacity=report.usage.capacity.net_in_bytes_per_second,
        uplink_rate=sum(uplink.in_bytes for uplink in uplinks) / report.seconds,
        waiting=_queueing(uplinks, "in"),
    )


def _net_out(report: Report) -> ResourceUse:
    uplinks = report.usage.uplinks
    return _network(
        array("d", [tenant.net_out_bytes / report.seconds for tenant in report.tenants]),
        known_capacity=report.usage.capacity.net_out_bytes_per_second,
        uplink_rate=sum(uplink.out_bytes for uplink in uplinks) / report.seconds,
        waiting=_queueing(uplinks, "out"),
    )


def _network(
    used: array[float], *, known_capacity: float | None, uplink_rate: float, waiting: float | None
) -> ResourceUse:
    """Waiting cannot be measured per tenant here: the uplink's stands for everybody's."""
    return ResourceUse(
        capacity=known_capacity or uplink_rate,
        capacity_known=known_capacity is not None,
        host_waiting=waiting,
        utilisation=uplink_rate / known_capacity if known_capacity else 0.0,
        used=used,
        waiting=array("d", [math.nan if waiting is None else waiting]) * len(used),
    )


def _queueing(uplinks: tuple[UplinkActivity, ...], direction: str) -> float | None:
    """Share of packets that an uplink dropped or held back, of the uplink where it is worst."""
    shares = []
    for uplink in uplinks:
        if direction == "in":
            packets, held_up = uplink.in_packets, uplink.in_dropped_packets
        else:
            packets = uplink.out_packets
            held_up = uplink.out_dropped_packets + uplink.out_delayed_packets
        shares.append(min(1.0, held_up / max(1, packets)))
    return max(shares, default=None)


def _shares(waiting_seconds: list[float], seconds: float) -> array[float]:
    """Each as a share of the interval, 0 to 1, or NaN. Runs for every tenant of every report."""
    return array(
        "d",
        [
            0.0 if waited < 0.0 else 1.0 if waited > seconds else waited / seconds
            for waited in waiting_seconds
        ],
    )


def _share(waiting_seconds: float | None, seconds: float) -> float | None:
    return None if waiting_seconds is None else min(1.0, waiting_seconds / seconds)
