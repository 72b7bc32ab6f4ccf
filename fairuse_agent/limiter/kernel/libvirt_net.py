"""Interfaces of libvirt domains: <bandwidth>, by libvirt, which puts the qdiscs there itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from fairuse_agent.limiter.kernel import traffic
from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Knob, Refused
from fairuse_agent.limiter.kernel.libvirt_calls import LIVE, Libvirt, devices
from fairuse_agent.limiter.kernel.shaping import DEFAULT, netlink_module, shaping_of

Result = TypeVar("Result")

BYTES_OF_RATE, BYTES_OF_BURST = 1000, 1024
"""libvirt hands averages to tc as "kbps" and bursts as "kb" (virNetDevBandwidthSet), which tc
takes for 1000 bytes/s and 1024 bytes (tried: average 1000 stands as 8 Mbit)."""
BURST_SECONDS = {"inbound": 0.02, "outbound": traffic.POLICED_BURST_SECONDS}
SMALLEST_BURST_BYTES = 2 * traffic.MERGED_PACKET_BYTES
_MARKS_OF_A_TAP = ("tun_flags", "macvtap")
"""In /sys/class/net of a tap (drivers/net/tun.c), and of a macvtap."""
_LIBVIRTS_ROOTS = ("htb 1:", DEFAULT)
_WAY_OF_KIND = {"libvirt-in": "inbound", "libvirt-out": "outbound"}


class Bandwidths:
    """`average`, `peak` (kB/s) and `burst` (KiB) of one direction of an interface, as the guest
    sees it; and `others`, what somebody else has put on the host's end with tc.

    A knob's device is the domain's uuid.
    """

    def __init__(self, libvirt: Libvirt) -> None:
        self._libvirt = libvirt
        self._domains: dict[int, str] = {}

    def knob(self, resource: str, interface: str) -> Knob | None:
        """The knob of a domain's interface, None for one that is no domain's. Raises Gone or
        KernelError. A veth cannot be one: its limits do not wait for libvirtd."""
        index = traffic.index_of(interface)
        if not any((traffic.NET / interface / mark).exists() for mark in _MARKS_OF_A_TAP):
            return None
        if index not in self._domains:
            self._domains[index] = self._libvirt.ask(
                interface, lambda host: _owner_of(host, interface)
            )
        domain = self._domains[index]
        if not domain:
            return None
        return Knob(
            kind="libvirt-in" if resource == "net-in" else "libvirt-out",
            target=interface,
            identity=index,
            device=domain,
        )

    def fields(self, knob: Knob, amounts: Amounts, before: Fields) -> Fields:
        """The bandwidth for this rate, rounded up to libvirt's kB/s. A tighter one of the
        domain's owner stays; Refused where it does, or beside another's qdisc."""
        if before["others"] != traffic.NONE:
            raise Refused(
                f"the interface is a libvirt domain's, and has {before['others']} besides, which"
                " libvirt would remove: whoever put it has to limit it",
                promise=3,
            )
        average = max(1, math.ceil(amounts["bytes"] / BYTES_OF_RATE - 1e-6))
        standing, floor = int(before["average"]), int(before.get("floor", 0))
        if 0 < standing <= average or floor > average:
            raise Refused(
                f"its <bandwidth> has average {standing} kB/s and floor {floor} kB/s; {average}"
                " were ordered",
                promise=3,
            )
        seconds = BURST_SECONDS[_WAY_OF_KIND[knob.kind]]
        burst = max(SMALLEST_BURST_BYTES, amounts["bytes"] * seconds)
        return {
            **before,
            "average": str(average),
            # HTB's second bucket is tiny and cannot be set: at twice the rate it holds nobody.
            "peak": str(2 * average) if knob.kind == "libvirt-in" else "0",
            "burst": str(math.ceil(burst / BYTES_OF_BURST)),
        }

    def read(self, knob: Knob) -> Fields:
        """How the direction stands."""
        traffic.check_present(knob)
        told = self._ask(knob, lambda domain: domain.interfaceParameters(knob.target, LIVE))
        way = f"{_WAY_OF_KIND[knob.kind]}."
        fields = {
            name.removeprefix(way): str(value)
            for name, value in told.items()
            if name.startswith(way)
        }
        return {**fields, "others": _others(knob.identity, told)}

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set it for what runs now. With an average of 0 libvirt takes its qdiscs away and puts
        back the noqueue that it gives every tap (under a number that the kernel chooses)."""
        traffic.check_present(knob)
        way = _WAY_OF_KIND[knob.kind]
        wanted = {f"{way}.{name}": int(value) for name, value in fields.items() if name != "others"}
        self._ask(knob, lambda domain: domain.setInterfaceParameters(knob.target, wanted, LIVE))

    def _ask(self, knob: Knob, question: Callable[[Any], Result]) -> Result:
        return self._libvirt.ask(
            knob.target, lambda host: question(host.lookupByUUIDString(knob.device))
        )


def _owner_of(host: Any, interface: str) -> str:
    """The uuid of the running domain with this interface, "" when there is none."""
    for domain in host.listAllDomains(1):  # VIR_CONNECT_LIST_DOMAINS_ACTIVE
        for target in devices(domain, "interface/target"):
            if target.get("dev") == interface:
                return str(domain.UUIDString())
    return ""


def _others(index: int, told: dict[str, int]) -> str:
    """What stands on the interface that is neither the kernel's nor libvirt's <bandwidth>."""
    netlink = netlink_module()
    root = shaping_of(index).root
    if root.startswith("htb 1:") and not told["inbound.average"]:
        return f"a qdisc {root}"
    if root not in _LIBVIRTS_ROOTS and not root.startswith("noqueue "):
        return f"a qdisc {root}"
    entrances = [q.kind for q in netlink.qdiscs(index) if q.parent == netlink.TC_H_INGRESS]
    if entrances not in ([], ["ingress"]):
        return f"a {entrances[0]} qdisc"
    if entrances and netlink.filters(index) and not told["outbound.average"]:
        return "a filter at its entrance"
    return traffic.NONE
