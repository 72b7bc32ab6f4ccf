"""What an agent tells the controller: one report an interval, made of counter differences.

All amounts are differences over the report's interval, never totals since boot. A figure that
could not be measured is None, which is not zero. "Waiting" is the part of the interval, in
seconds, in which at least one task waited for the resource (PSI `some`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fairuse_protocol.limits import LimiterState
from fairuse_protocol.messages import PROTOCOL_VERSION, Message, MessageError, decode_with

PressureSource = Literal["psi", "run-delay", "none"]
"""Where CPU waiting comes from: the kernel's pressure figures, tasks' run delay, or nowhere."""

Amount = Annotated[float, msgspec.Meta(ge=0, lt=1e15)]
"""A measured amount: never negative, never infinite, never NaN."""
Capability = Annotated[float, msgspec.Meta(ge=0.001, lt=1e15)]
"""What something can deliver: well above zero, because shares are made by dividing by it."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A counter's difference, or a place in a series: as much as a database's integer holds."""
Weight = Annotated[float, msgspec.Meta(ge=1e-6, lt=1e9)]
"""What a tenant is entitled to, relative to its neighbours."""


class DiskUsage(Message, omit_defaults=True):
    """What was read from and written to one whole disk."""

    device: str
    read_bytes: Count = 0
    written_bytes: Count = 0
    reads: Count = 0
    writes: Count = 0


class TenantUsage(Message, omit_defaults=True):
    """One tenant on one host over one interval. Network directions are as the tenant sees them."""

    tenant: str
    weight: Weight = 1.0
    cpu_seconds: Amount = 0.0
    cpu_throttled_seconds: Amount = 0.0
    cpu_waiting_seconds: Amount | None = None
    io_waiting_seconds: Amount | None = None
    disks: tuple[DiskUsage, ...] = ()
    net_in_bytes: Count = 0
    net_in_packets: Count = 0
    net_out_bytes: Count = 0
    net_out_packets: Count = 0


class DiskActivity(Message, omit_defaults=True):
    """One whole disk of the host, everybody's use together."""

    device: str
    read_bytes: Count = 0
    written_bytes: Count = 0
    reads: Count = 0
    writes: Count = 0
    busy_seconds: Amount | None = None


class UplinkActivity(Message, omit_defaults=True):
    """One of the host's ways to the world. In = towards the tenants, out = from them.

    `out_delayed_packets` counts the times that its queue held a packet back (qdisc overlimits
    and requeues): the queueing that stands for waiting, which a network has no other sign of.
    """

    interface: str
    in_bytes: Count = 0
    in_packets: Count = 0
    in_dropped_packets: Count = 0
    out_bytes: Count = 0
    out_packets: Count = 0
    out_dropped_packets: Count = 0
    out_delayed_packets: Count = 0
    out_queued_bytes: Count = 0


class Capacity(Message, omit_defaults=True):
    """What tenants of this host can use at most. None: not known, judged on pressure alone."""

    cpu_cores: Capability
    disk_bytes_per_second: Capability | None = None
    disk_operations_per_second: Capability | None = None
    net_in_bytes_per_second: Capability | None = None
    net_out_bytes_per_second: Capability | None = None
    net_in_packets_per_second: Capability | None = None
    net_out_packets_per_second: Capability | None = None
    """Small packets fill a host long before their bytes do; None: only bytes count."""


class HostUsage(Message, omit_defaults=True):
    """The host as a whole: what tenants used, what was its own, and its pressure."""

    capacity: Capacity
    cpu_busy_seconds: Amount
    """Of all cores together: the part of the time that they got, times the time that passed."""
    cpu_waiting_seconds: Amount | None = None
    io_waiting_seconds: Amount | None = None
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
    sequence: Count
    started_at: float
    seconds: Amount
    usage: HostUsage
    tenants: tuple[TenantUsage, ...] = ()
    pressure_source: PressureSource = "psi"
    limiter: LimiterState | None = None
    lost_reports: Count = 0
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
    # Floors rather than zero: what is divided by them must stay a finite number.
    if not 0.01 <= report.seconds < 86400:
        raise MessageError(
            f"seconds: expected more than 0 (0.01 at least) and under a day, found {report.seconds}"
        )
    if not 0 <= report.started_at < 1e11:
        raise MessageError(
            f"started_at: expected seconds since the epoch, found {report.started_at}"
        )
    names = {tenant.tenant for tenant in report.tenants}
    # No path and no unit has one, and not every database takes it.
    if "\0" in report.spool or any("\0" in name for name in names):
        raise MessageError("spool, tenants: expected names without NUL, found one with it")
    if len(names) != len(report.tenants):
        raise MessageError("tenants: expected each tenant once, found a name twice")
