"""What an agent tells the controller: one report an interval, made of counter differences.

All amounts are differences over the report's interval, never totals since boot. A figure that
could not be measured is None, which is not zero. "Waiting" is the part of the interval, in
seconds, in which at least one task waited for the resource (PSI `some`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fairuse_protocol.limits import LimiterState
from fairuse_protocol.messages import PROTOCOL_VERSION, Message, MessageError, decode_with

PressureSource = Literal["psi", "run-delay", "none"]
"""Where CPU waiting comes from: the kernel's pressure figures, tasks' run delay, or nowhere."""


class DiskUsage(Message, omit_defaults=True):
    """What was read from and written to one whole disk."""

    device: str
    read_bytes: int = 0
    written_bytes: int = 0
    reads: int = 0
    writes: int = 0


class TenantUsage(Message, omit_defaults=True):
    """One tenant on one host over one interval. Network directions are as the tenant sees them."""

    tenant: str
    weight: float = 1.0
    cpu_seconds: float = 0.0
    cpu_throttled_seconds: float = 0.0
    cpu_waiting_seconds: float | None = None
    io_waiting_seconds: float | None = None
    disks: tuple[DiskUsage, ...] = ()
    net_in_bytes: int = 0
    net_in_packets: int = 0
    net_out_bytes: int = 0
    net_out_packets: int = 0


class DiskActivity(Message, omit_defaults=True):
    """One whole disk of the host, everybody's use together."""

    device: str
    read_bytes: int = 0
    written_bytes: int = 0
    reads: int = 0
    writes: int = 0
    busy_seconds: float | None = None


class UplinkActivity(Message, omit_defaults=True):
    """One of the host's ways to the world. In = towards the tenants, out = from them.

    `out_delayed_packets` counts the times that its queue held a packet back (qdisc overlimits
    and requeues): the queueing that stands for waiting, which a network has no other sign of.
    """

    interface: str
    in_bytes: int = 0
    in_packets: int = 0
    in_dropped_packets: int = 0
    out_bytes: int = 0
    out_packets: int = 0
    out_dropped_packets: int = 0
    out_delayed_packets: int = 0
    out_queued_bytes: int = 0


class Capacity(Message, omit_defaults=True):
    """What tenants of this host can use at most. None: not known, judged on pressure alone."""

    cpu_cores: float
    disk_bytes_per_second: float | None = None
    disk_operations_per_second: float | None = None
    net_in_bytes_per_second: float | None = None
    net_out_bytes_per_second: float | None = None


class HostUsage(Message, omit_defaults=True):
    """The host as a whole: what tenants used, what was its own, and its pressure."""

    capacity: Capacity
    cpu_busy_seconds: float
    cpu_waiting_seconds: float | None = None
    io_waiting_seconds: float | None = None
    disks: tuple[DiskActivity, ...] = ()
    uplinks: tuple[UplinkActivity, ...] = ()


class Report(Message, omit_defaults=True):
    """One interval of one host.

    `spool` names the series that `sequence` counts in (a fresh agent starts a new one); the two
    with `host` make a report unique. `started_at` is seconds since the epoch, UTC, and `seconds`
    the measured length. `lost_reports` counts those that the bounded spool had to drop before
    this one. `notes` are short sentences about what could not be measured.
    """

    host: str
    spool: str
    sequence: int
    started_at: float
    seconds: float
    usage: HostUsage
    tenants: tuple[TenantUsage, ...] = ()
    pressure_source: PressureSource = "psi"
    limiter: LimiterState | None = None
    lost_reports: int = 0
    notes: tuple[str, ...] = ()
    protocol: int = PROTOCOL_VERSION


_json_decoder = msgspec.json.Decoder(Report, strict=True)
_msgpack_decoder = msgspec.msgpack.Decoder(Report, strict=True)
_msgpack_encoder = msgspec.msgpack.Encoder()


def encode_report(report: Report) -> bytes:
    """The compact form (msgpack) that agents send and that the store keeps."""
    return _msgpack_encoder.encode(report)


def decode_report(body: bytes, *, json: bool = False) -> Report:
    """Decode and check a report, or raise MessageError naming the field."""
    report = decode_with(_json_decoder if json else _msgpack_decoder, body)
    _check(report)
    return report


def _check(report: Report) -> None:
    """What types alone cannot say. Kept to a few comparisons: it runs for every report."""
    if report.protocol != PROTOCOL_VERSION:
        raise MessageError(
            f"protocol: this controller speaks version {PROTOCOL_VERSION}, found {report.protocol}"
        )
    if not 0 < report.seconds < 86400:
        raise MessageError(f"seconds: expected more than 0 and under a day, found {report.seconds}")
    if report.sequence < 0:
        raise MessageError(f"sequence: expected 0 or more, found {report.sequence}")
    if not report.usage.capacity.cpu_cores > 0:
        raise MessageError(
            "usage.capacity.cpu_cores: expected more than 0, "
            f"found {report.usage.capacity.cpu_cores}"
        )
    if not 0 <= report.started_at < 1e11:
        raise MessageError(
            f"started_at: expected seconds since the epoch, found {report.started_at}"
        )
    names = set()
    for index, tenant in enumerate(report.tenants):
        if not 0 < tenant.weight < 1e9:
            raise MessageError(
                f"tenants[{index}].weight: expected a positive number, found {tenant.weight}"
            )
        if not (
            0 <= tenant.cpu_seconds < 1e9 and tenant.net_in_bytes >= 0 and tenant.net_out_bytes >= 0
        ):
            raise MessageError(f"tenants[{index}]: expected usage of 0 or more, found {tenant}")
        names.add(tenant.tenant)
    if len(names) != len(report.tenants):
        raise MessageError("tenants: expected each tenant once, found a name twice")
