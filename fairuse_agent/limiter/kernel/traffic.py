"""Bandwidth limits of an interface, which is the host's end of a tenant's link.

Towards the tenant (net-in) the host sends: our HTB at the root shapes it (shaping.py). From the
tenant (net-out) the host receives: a policer drops what exceeds, or, on a kernel without one,
every packet goes through an IFB of ours whose root is the same HTB.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from fairuse_agent.limiter.kernel import shaping, tcattr
from fairuse_agent.limiter.kernel.knobs import (
    LONGEST_INTERFACE_NAME,
    Amounts,
    Fields,
    Gone,
    KernelError,
    Knob,
    Refused,
)
from fairuse_agent.limiter.kernel.probe import IngressWay
from fairuse_agent.limiter.kernel.shaping import DEFAULT, OURS, netlink_module

if TYPE_CHECKING:
    from fairuse_agent.limiter.kernel.netlink import Filter

NET = Path("/sys/class/net")
TX_QUEUE_LENGTH_BY_KERNEL = 1000
"""DEFAULT_TX_QUEUE_LEN (net/core/dev.c via linux/netdevice.h): what an interface without a queue
length is given as a qdisc is put on it, and keeps when that goes."""
ANY_TX_QUEUE_LENGTH = "any"
"""Told while a qdisc that is not the kernel's own stands, which the length is no part of."""

NO_QUEUE = "noqueue "
"""Put by libvirt on every tap (with a number, unlike the kernel's own): it limits nothing, and one
step puts it back under its number."""
NONE = "none"
OTHER = "somebody else's"
OUR_IFB = "ours"

POLICED_BURST_SECONDS = 0.1
"""A policer has no queue: TCP comes nearer to the rate where there is room for what is under way,
the rate times the round trip, which is up to this long across a continent."""
MERGED_PACKET_BYTES = 65_536
"""GRO and GSO hand over packets of up to this; a policer drops those over its mtu."""


def index_of(interface: str) -> int:
    """The interface's index, or Gone."""
    fits = 0 < len(os.fsencode(interface)) <= LONGEST_INTERFACE_NAME
    if not fits or "/" in interface or "\0" in interface or interface in ("lo", ".", ".."):
        raise Refused(f"{interface[:100]!r} is no interface of a tenant")
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise Gone(f"interface {interface} does not exist") from error


def measure(knob: Knob) -> dict[str, float]:
    """Bytes that went the knob's way. Raises Gone."""
    check_present(knob)
    towards_tenant = knob.kind in ("shaper", "libvirt-in")
    counter = "tx_bytes" if towards_tenant else "rx_bytes"
    try:
        return {"bytes": float((NET / knob.target / "statistics" / counter).read_text())}
    except FileNotFoundError as error:
        raise Gone(f"interface {knob.target} does not exist") from error


def check_present(knob: Knob) -> None:
    """Raise Gone unless the very interface is there."""
    if index_of(knob.target) != knob.identity:
        raise Gone(f"interface {knob.target} was removed, and another has its name")


class Shaper:
    """`root` of the interface: the kernel's default, our HTB, or somebody else's; the `rate`
    (bytes/s) and the `queue` (bytes) of ours; and `tx_queue_len`, which the kernel raises from 0
    when a qdisc is put there."""

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """Our HTB of this rate. Refused where somebody else's qdisc stands."""
        if before["root"] != DEFAULT and not before["root"].startswith(NO_QUEUE):
            raise Refused(
                f"the interface has a qdisc that the kernel did not put there: {before['root']}."
                " Whoever put it (libvirt <bandwidth>, Proxmox, an administrator) has to limit it",
                promise=3,
            )
        rate = round(amounts["bytes"])
        return {
            "root": OURS,
            "rate": str(rate),
            "queue": str(shaping.queue_for(rate)),
            "tx_queue_len": ANY_TX_QUEUE_LENGTH,
        }

    def read(self, knob: Knob) -> Fields:
        """How the root stands, and with the kernel's default the interface's queue length."""
        check_present(knob)
        found = shaping.shaping_of(knob.identity)
        length = _tx_queue_length(knob) if found.root == DEFAULT else ANY_TX_QUEUE_LENGTH
        return {
            "root": found.root,
            "rate": _or_none(found.rate),
            "queue": _or_none(found.queue),
            "tx_queue_len": length,
        }

    def write(self, knob: Knob, fields: Fields) -> None:
        """Put our HTB there, or take it away. The queue length goes back first: with our HTB still
        there, a cut in between is seen as ours."""
        check_present(knob)
        if fields["root"] == OURS:
            shaping.shape(knob.identity, int(fields["rate"]))
            return
        if fields["root"].startswith(NO_QUEUE):
            major = int(fields["root"].removeprefix(NO_QUEUE).rstrip(":"), 16)
            netlink_module().replace_qdisc(knob.identity, NO_QUEUE.strip(), major << 16, b"")
            return
        length = fields["tx_queue_len"]
        if length == "0" and _tx_queue_length(knob) == str(TX_QUEUE_LENGTH_BY_KERNEL):
            netlink_module().set_tx_queue_length(knob.identity, 0)
        if shaping.shaping_of(knob.identity).root != DEFAULT:
            shaping.unshape(knob.identity)


class Ingress:
    """What happens to packets that the interface receives.

    `qdisc` is none, ingress or somebody else's; `filter` is what our own does (known by its
    priority), none, or somebody else's where only others stand. With an IFB, `ifb` says that it
    is there, `ifb_rate` and `ifb_queue` how our HTB on it is set. The IFB's name comes from the
    interface's index, so that the journalled knob names it before it is made.
    """

    def __init__(self, way: IngressWay) -> None:
        self._way = way

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """Our policer, or our IFB, for this rate. Refused beside somebody else's qdisc."""
        if set(before.values()) != {NONE}:
            raise Refused(
                "the interface has an ingress or clsact qdisc, or an IFB of ours that nothing"
                f" accounts for ({before}): see `tc filter show dev ... ingress` and"
                " `ip link show type ifb`",
                promise=3,
            )
        rate = round(amounts["bytes"])
        ours = {**before, "qdisc": "ingress"}
        if self._way.police:
            return {**ours, "filter": f"police {rate}"}
        return {
            **ours,
            "filter": "redirect to our IFB",
            "ifb": OUR_IFB,
            "ifb_rate": str(rate),
            "ifb_queue": str(shaping.queue_for(rate)),
        }

    def read(self, knob: Knob) -> Fields:
        """How it stands."""
        check_present(knob)
        netlink = netlink_module()
        kinds = [
            qdisc.kind
            for qdisc in netlink.qdiscs(knob.identity)
            if qdisc.parent == netlink.TC_H_INGRESS
        ]
        ifb = _ifb_index(knob)
        fields = {
            "qdisc": NONE if not kinds else "ingress" if kinds == ["ingress"] else OTHER,
            "filter": NONE,
            **_ifb_fields(ifb),
        }
        if kinds:
            found = netlink.filters(knob.identity)
            ours = [f for f in found if f.priority == netlink.OUR_PRIORITY]
            fields["filter"] = _told(ours[0], ifb) if ours else OTHER if found else NONE
        return fields

    def write(self, knob: Knob, fields: Fields) -> None:
        """Build from the inside out, or take down from the outside in."""
        check_present(knob)
        if fields["qdisc"] == NONE:
            self._take_down(knob)
            return
        netlink = netlink_module()
        ifb = None
        if fields["ifb"] != NONE:
            if _ifb_index(knob) is None:
                netlink.add_ifb(ifb_name(knob))
            ifb = _ifb_index(knob)
            if ifb is None:
                raise KernelError(f"{ifb_name(knob)} was removed while it was being set up")
            shaping.shape(ifb, int(fields["ifb_rate"]))
        if self.read(knob)["qdisc"] == NONE:
            netlink.add_ingress(knob.identity)
        self._put_filter(knob, fields["filter"], ifb)

    def clean_up(self, knob: Knob) -> None:
        """Remove what is ours by name or number, whatever has become of the rest: the IFB stays
        behind when its interface goes, and a limit must not stay because of a filter beside it."""
        try:
            check_present(knob)
        except Gone:
            self._remove_ifb(knob)
        else:
            self._take_down(knob)

    def _put_filter(self, knob: Knob, wanted: str, ifb: int | None) -> None:
        if self.read(knob)["filter"] == wanted:
            return
        netlink = netlink_module()
        if ifb is not None:
            actions = tcattr.redirect(ifb)
        else:
            rate = int(wanted.removeprefix("police "))
            burst = max(2 * MERGED_PACKET_BYTES, int(rate * POLICED_BURST_SECONDS))
            actions = tcattr.police(
                rate, min(burst, shaping.HIGHEST_BURST_BYTES), MERGED_PACKET_BYTES
            )
        ours = [f for f in netlink.filters(knob.identity) if f.priority == netlink.OUR_PRIORITY]
        kind = self._way.classifier
        options = tcattr.u32_all(actions) if kind == "u32" else tcattr.matchall(actions)
        netlink.replace_filter(knob.identity, kind, ours[0].handle if ours else 0, options)

    def _take_down(self, knob: Knob) -> None:
        """Only what is ours: with another's filter beside it, the ingress qdisc stays."""
        netlink = netlink_module()
        if any(qdisc.kind == "ingress" for qdisc in netlink.qdiscs(knob.identity)):
            others = 0
            for found in netlink.filters(knob.identity):
                if found.priority == netlink.OUR_PRIORITY:
                    netlink.delete_filter(knob.identity, found)
                else:
                    others += 1
            if not others:
                netlink.delete_ingress(knob.identity)
        self._remove_ifb(knob)

    @staticmethod
    def _remove_ifb(knob: Knob) -> None:
        if _ifb_index(knob) is not None:
            netlink_module().delete_link(ifb_name(knob))


def _told(found: Filter, ifb: int | None) -> str:
    """What our filter does; OTHER when somebody made it do something else."""
    if found.kind not in ("u32", "matchall"):
        return OTHER
    does = tcattr.action_of(found.kind, found.options)
    if ifb is not None and does == f"redirect {ifb}":
        return "redirect to our IFB"
    return does if does.startswith("police ") else OTHER


def _tx_queue_length(knob: Knob) -> str:
    try:
        return (NET / knob.target / "tx_queue_len").read_text().strip()
    except FileNotFoundError as error:
        raise Gone(f"interface {knob.target} does not exist") from error


def ifb_name(knob: Knob) -> str:
    """The IFB for an interface: fairuse- and the interface's index, 15 characters at most."""
    return f"fairuse-{knob.identity:x}"[:LONGEST_INTERFACE_NAME]


def _ifb_index(knob: Knob) -> int | None:
    try:
        return index_of(ifb_name(knob))
    except Gone:
        return None


def _ifb_fields(index: int | None) -> Fields:
    if index is None:
        return {"ifb": NONE, "ifb_rate": NONE, "ifb_queue": NONE}
    found = shaping.shaping_of(index)
    return {
        "ifb": OUR_IFB if found.root in (DEFAULT, OURS) else OTHER,
        "ifb_rate": _or_none(found.rate),
        "ifb_queue": _or_none(found.queue),
    }


def _or_none(figure: int | None) -> str:
    return NONE if figure is None else str(figure)
