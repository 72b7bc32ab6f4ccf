"""Reports as a busy host of 50 tenants would send them, encoded once and then only renumbered."""

from __future__ import annotations

import random
import struct

from fairuse_protocol.reports import (
    Capacity,
    DiskActivity,
    DiskUsage,
    HostUsage,
    Report,
    TenantUsage,
    UplinkActivity,
    encode_report,
)

INTERVAL_SECONDS = 10.0
_FIRST_SEQUENCE = 1_000_000
_CORES = 32.0
_HOGS_SHARES = 36
"""With what the others use, the host is full."""


def sample_report(host: str, *, tenants: int, contended: bool, started_at: float) -> Report:
    """One report. On a contended host the first tenant takes the CPU and the others wait."""
    source = random.Random(host)
    usages = tuple(_tenant(source, index, tenants, contended=contended) for index in range(tenants))
    busy = min(_CORES * INTERVAL_SECONDS, sum(usage.cpu_seconds for usage in usages))
    disk_bytes = sum(usage.disks[0].written_bytes + usage.disks[0].read_bytes for usage in usages)
    return Report(
        host=host,
        spool="benchmark",
        sequence=_FIRST_SEQUENCE,
        started_at=started_at,
        seconds=INTERVAL_SECONDS,
        usage=HostUsage(
            capacity=Capacity(cpu_cores=_CORES, net_in_bytes_per_second=1.25e9),
            cpu_busy_seconds=busy,
            cpu_waiting_seconds=6.0 if contended else 0.2,
            io_waiting_seconds=0.1,
            disks=(DiskActivity(device="nvme0n1", written_bytes=disk_bytes, busy_seconds=1.0),),
            uplinks=(UplinkActivity(interface="eth0", in_bytes=10**8, in_packets=10**5),),
        ),
        tenants=usages,
    )


def _tenant(source: random.Random, index: int, tenants: int, *, contended: bool) -> TenantUsage:
    hog = contended and index == 0
    fair_seconds = _CORES * INTERVAL_SECONDS / tenants
    shares = _HOGS_SHARES if hog else source.uniform(0.05, 0.45)
    return TenantUsage(
        tenant=f"customer-{source.randrange(10**6):06d}-{index}",
        cpu_seconds=fair_seconds * shares,
        cpu_throttled_seconds=source.uniform(0, 0.1),
        cpu_waiting_seconds=4.0 if contended and not hog else source.uniform(0, 0.3),
        io_waiting_seconds=source.uniform(0, 0.3),
        disks=(
            DiskUsage(
                device="nvme0n1",
                read_bytes=source.randrange(10**7),
                written_bytes=source.randrange(10**7),
                reads=source.randrange(10**3),
                writes=source.randrange(10**3),
            ),
        ),
        net_in_bytes=source.randrange(10**7),
        net_in_packets=source.randrange(10**4),
        net_out_bytes=source.randrange(10**7),
        net_out_packets=source.randrange(10**4),
    )


class Renumbered:
    """One host's series of reports, each made from the first by writing its number and time."""

    def __init__(self, report: Report) -> None:
        self._body = bytearray(encode_report(report))
        self._started_at = report.started_at
        self._sequence_at = self._body.index(struct.pack(">BI", 0xCE, _FIRST_SEQUENCE)) + 1
        self._time_at = self._body.index(struct.pack(">Bd", 0xCB, report.started_at)) + 1
        self.count = 0

    def next(self) -> bytes:
        """The next report's body."""
        struct.pack_into(">I", self._body, self._sequence_at, _FIRST_SEQUENCE + self.count)
        started_at = self._started_at + self.count * INTERVAL_SECONDS
        struct.pack_into(">d", self._body, self._time_at, started_at)
        self.count += 1
        return bytes(self._body)
