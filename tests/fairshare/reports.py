"""Reports for tests: a host whose figures are written as shares and cores, not as totals."""

from __future__ import annotations

from collections.abc import Mapping

from controller.fairshare.figures import gather
from controller.fairshare.interval import Interval, judge
from controller.fairshare.measured import measure
from controller.fairshare.policy import Rule
from fairuse_protocol.reports import (
    Capacity,
    DiskActivity,
    DiskUsage,
    HostUsage,
    Report,
    TenantUsage,
    UplinkActivity,
)

CORES = 8.0
UPLINK_BYTES_PER_SECOND = 125e6
DISK_BYTES_PER_SECOND = 200e6


def judged(report: Report, rule: Rule | None = None) -> Interval:
    """The only interval of a report, judged."""
    (interval,) = judge(measure([gather(report)]), rule or Rule())
    return interval


def cpu_report(
    ended_at: float,
    used_cores: Mapping[str, float],
    *,
    waiting: Mapping[str, float] | float = 0.3,
    host_waiting: float = 0.4,
    throttled: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    seconds: float = 10.0,
    host: str = "h1",
    sequence: int = 0,
    limiter: object = None,
) -> Report:
    """A report in which tenants use these cores; each waits the given share of the time."""
    tenants = tuple(
        TenantUsage(
            tenant=tenant,
            weight=(weights or {}).get(tenant, 1.0),
            cpu_seconds=cores * seconds,
            cpu_throttled_seconds=(throttled or {}).get(tenant, 0.0) * seconds,
            cpu_waiting_seconds=seconds
            * (waiting if isinstance(waiting, float) else waiting.get(tenant, 0.0)),
            io_waiting_seconds=0.0,
        )
        for tenant, cores in used_cores.items()
    )
    usage = HostUsage(
        capacity=Capacity(cpu_cores=CORES),
        cpu_busy_seconds=min(CORES, sum(used_cores.values())) * seconds,
        cpu_waiting_seconds=host_waiting * seconds,
        io_waiting_seconds=0.0,
    )
    return Report(
        host=host,
        spool="s",
        sequence=sequence,
        started_at=ended_at - seconds,
        seconds=seconds,
        usage=usage,
        tenants=tenants,
        limiter=limiter,  # type: ignore[arg-type]  # tests pass a LimiterState or nothing
    )


def network_report(
    ended_at: float, sent_bytes_per_second: Mapping[str, float], *, delayed: float, seconds: float
) -> Report:
    """A report of outgoing traffic over an uplink whose queue held back this share of packets."""
    total = sum(sent_bytes_per_second.values()) * seconds
    packets = int(total / 1500) or 1
    return Report(
        host="h1",
        spool="s",
        sequence=0,
        started_at=ended_at - seconds,
        seconds=seconds,
        usage=HostUsage(
            capacity=Capacity(cpu_cores=CORES, net_out_bytes_per_second=UPLINK_BYTES_PER_SECOND),
            cpu_busy_seconds=0,
            uplinks=(
                UplinkActivity(
                    interface="up",
                    out_bytes=int(total),
                    out_packets=packets,
                    out_delayed_packets=int(packets * delayed),
                ),
            ),
        ),
        tenants=tuple(
            TenantUsage(tenant=tenant, net_out_bytes=int(rate * seconds))
            for tenant, rate in sent_bytes_per_second.items()
        ),
    )


def disk_report(
    ended_at: float,
    read_bytes_per_second: Mapping[str, float],
    *,
    waiting: float,
    capacity_known: bool,
    operations_per_second: float | None = None,
    seconds: float = 10.0,
) -> Report:
    """A report of disk reads, 64 kB each, on one disk of known or unknown capacity."""
    total = sum(read_bytes_per_second.values()) * seconds
    return Report(
        host="h1",
        spool="s",
        sequence=0,
        started_at=ended_at - seconds,
        seconds=seconds,
        usage=HostUsage(
            capacity=Capacity(
                cpu_cores=CORES,
                disk_bytes_per_second=DISK_BYTES_PER_SECOND if capacity_known else None,
                disk_operations_per_second=operations_per_second,
            ),
            cpu_busy_seconds=0,
            io_waiting_seconds=waiting * seconds,
            disks=(DiskActivity(device="vda", read_bytes=int(total), reads=int(total / 65536)),),
        ),
        tenants=tuple(
            TenantUsage(
                tenant=tenant,
                io_waiting_seconds=waiting * seconds,
                disks=(
                    DiskUsage(
                        device="vda",
                        read_bytes=int(rate * seconds),
                        reads=int(rate * seconds / 65536),
                    ),
                ),
            )
            for tenant, rate in read_bytes_per_second.items()
        ),
    )
