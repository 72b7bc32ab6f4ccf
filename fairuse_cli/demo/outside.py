"""What the demo sees for itself, straight from the kernel, with none of the agent's code.

CPU time and waiting come from the tenants' cgroup files, bytes from their interfaces, and qdiscs,
classes and filters from a netlink dump decoded here.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fairuse_cli.demo import links
from fairuse_cli.demo.cgroups import Hierarchies
from fairuse_cli.demo.stage import Reading, UplinkReading
from fairuse_protocol.units import Rate

_NLMSG_HEADER = struct.Struct("=IHHII")
_TCMSG = struct.Struct("=BxxxiIII")
_ATTRIBUTE = struct.Struct("=HH")
_RTM_GETQDISC, _RTM_GETTCLASS, _RTM_GETTFILTER = 38, 42, 46  # linux/rtnetlink.h
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST_DUMP = 0x301
_TCA_KIND, _TCA_OPTIONS, _TCA_STATS2, _TCA_STATS_QUEUE = 1, 2, 7, 3  # linux/pkt_sched.h
_TCA_HTB_PARMS, _TCA_HTB_RATE64 = 1, 6
_TC_H_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFF0000
_RECEIVE_BYTES = 64 * 1024


def read(hierarchies: Hierarchies, tenant: str, goodput: float) -> Reading:
    """Read the tenant's counters now; `goodput` is what the far end has counted of it."""
    cpu = dict(line.split() for line in hierarchies.stat_file(tenant).read_text().splitlines())
    some = hierarchies.pressure_file(tenant).read_text().splitlines()[0]
    statistics = Path("/sys/class/net") / links.interface(tenant) / "statistics"
    return Reading(
        at=time.monotonic(),
        cpu=int(cpu["usage_usec"]) / 1e6,
        waiting=int(some.rpartition("total=")[2]) / 1e6,
        # What the host's end receives is what the tenant sends.
        net_out=int((statistics / "rx_bytes").read_text()),
        net_in=int((statistics / "tx_bytes").read_text()),
        goodput=goodput,
    )


def read_uplink() -> UplinkReading:
    """Read the uplink's counters now."""
    packets = Path("/sys/class/net") / links.UPLINK / "statistics" / "tx_packets"
    return UplinkReading(
        at=time.monotonic(),
        packets=int(packets.read_text()),
        delayed=sum(found.overlimits for found in traffic_control(links.UPLINK)),
    )


@dataclass(frozen=True)
class Discipline:
    """A qdisc, class or filter, as the kernel has it: its own bytes for options."""

    interface: str
    what: Literal["qdisc", "class", "filter"]
    kind: str
    handle: int
    parent: int
    options: bytes
    overlimits: int = 0

    def __str__(self) -> str:
        where = "root" if self.parent == _TC_H_ROOT else f"parent {self.parent >> 16:x}:"
        text = f"{self.what} {self.kind} {self.handle >> 16:x}: {where}"
        if self.what == "class":
            text += f" rate {Rate(self._htb_rate()).in_bits}"
        return f"{text} {self.options.hex()}".strip()

    def _htb_rate(self) -> int:
        """Bytes per second: struct tc_htb_opt begins with a tc_ratespec of 12 bytes, and what does
        not fit into its 32 bits has an attribute of its own."""
        told = _attributes(self.options)
        if _TCA_HTB_RATE64 in told:
            return int(struct.unpack("=Q", told[_TCA_HTB_RATE64])[0])
        return int(struct.unpack_from("=I", told[_TCA_HTB_PARMS], 8)[0])


def traffic_control(interface: str) -> tuple[Discipline, ...]:
    """All qdiscs of an interface, HTB's classes and the filters at the entrance; none where it has
    gone."""
    try:
        index = socket.if_nametoindex(interface)
    except OSError:
        return ()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        qdiscs = _dump(netlink, _RTM_GETQDISC, index, 0)
        entrance = any(kind in ("ingress", "clsact") for _, _, kind, *_ in qdiscs)
        filters = _dump(netlink, _RTM_GETTFILTER, index, _INGRESS) if entrance else []
        shaped = any(kind == "htb" for _, _, kind, *_ in qdiscs)
        classes = _dump(netlink, _RTM_GETTCLASS, index, 0) if shaped else []
    there: tuple[tuple[Literal["qdisc", "class", "filter"], list[_Found]], ...]
    there = ("qdisc", qdiscs), ("class", classes), ("filter", filters)
    return tuple(
        Discipline(interface, what, kind, handle, parent, options, overlimits)
        for what, found in there
        for handle, parent, kind, options, overlimits in found
    )


_Found = tuple[int, int, str, bytes, int]


def _dump(netlink: socket.socket, request: int, index: int, parent: int) -> list[_Found]:
    body = _TCMSG.pack(socket.AF_UNSPEC, index, 0, parent, 0)
    length = _NLMSG_HEADER.size + len(body)
    netlink.send(_NLMSG_HEADER.pack(length, request, _NLM_F_REQUEST_DUMP, 1, 0) + body)
    found: list[_Found] = []
    while True:
        data = netlink.recv(_RECEIVE_BYTES)
        while data:
            size, kind, *_ = _NLMSG_HEADER.unpack_from(data)
            message, data = data[_NLMSG_HEADER.size : size], data[(size + 3) & ~3 :]
            if kind == _NLMSG_DONE:
                return found
            if kind == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", message)[0]
                raise OSError(code, f"netlink dump {request} of interface {index}")
            _, at_index, handle, at_parent, _ = _TCMSG.unpack_from(message)
            if at_index == index:
                attributes = _attributes(message[_TCMSG.size :])
                found.append(_decoded(handle, at_parent, attributes))


def _decoded(handle: int, parent: int, attributes: dict[int, bytes]) -> _Found:
    queue = _attributes(attributes.get(_TCA_STATS2, b"")).get(_TCA_STATS_QUEUE, bytes(20))
    return (
        handle,
        parent,
        attributes[_TCA_KIND].rstrip(b"\0").decode(),
        attributes.get(_TCA_OPTIONS, b""),
        struct.unpack_from("=5I", queue)[4],
    )


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        found[kind & 0x3FFF] = data[_ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]
    return found
