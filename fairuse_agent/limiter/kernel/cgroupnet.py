"""Bandwidth limits of a tenant that has cgroups and no interface, on each of the host's uplinks.

What its sockets send (net-out) nftables puts into a class of our HTB on the uplink, which shapes
it. What they receive (net-in) can be told by its socket only after it has come in, so that
nothing can be queued: nftables drops what exceeds, and TCP finds the rate. Neither sees loopback.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from typing import Any

from fairuse_agent.limiter.kernel import htb, nft
from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, Knob, Refused
from fairuse_agent.limiter.kernel.shaping import DEFAULT, OURS, ROOT_HANDLE
from fairuse_agent.limiter.kernel.tables import Tables
from fairuse_agent.limiter.kernel.traffic import NONE, OTHER, index_of

_GET_TX_QUEUE_LENGTH = 0x8942
"""SIOCGIFTXQLEN (linux/sockios.h)."""
_UNQUEUED = f"{DEFAULT} with txqueuelen 0"
_OUR_CLASS = "into our class"
_POLICED_BURST_BYTES = 65_536
"""One merged packet, on top of the second's worth that nftables' bucket always has
(nft_limit_init in net/netfilter/nft_limit.c)."""


def way() -> str:
    """The means for such tenants, or why there is none."""
    if not nft.available():
        return f"none: {nft.MISSING}"
    return "nftables limit in, nftables into an HTB class out, on the uplinks"


class CgroupShaper:
    """Of the uplink, `root` and our `class` for the cgroup; `marking` is what nftables does.

    All our classes share one root, which comes with the first and goes with the last. So `root`
    tells what concerns this knob: the kernel's default also where ours stands for others alone.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """A class of this rate. Refused where the uplink has an owner's qdisc."""
        if before["root"] == _UNQUEUED:
            raise Refused("the uplink has no queue length: `ip link set ... txqueuelen 1000` first")
        if before["root"] not in (DEFAULT, OURS):
            raise Refused(
                f"the uplink has a qdisc that the kernel did not put there: {before['root']}."
                " Whoever put it has to limit the tenant there",
                promise=3,
            )
        if before != {"root": DEFAULT, "class": NONE, "marking": NONE}:
            raise Refused(
                f"an HTB class or marking of ours stands there that nothing accounts for"
                f" ({before}): see `tc class show dev ...` and `nft list tables`",
                promise=3,
            )
        return {"root": OURS, "class": str(round(amounts["bytes"])), "marking": _OUR_CLASS}

    def read(self, knob: Knob) -> Fields:
        """How it stands. Gone without the cgroup or the uplink."""
        self._tables.check_present(knob)
        root, classes = htb.standing(index_of(knob.device))
        number = htb.class_number(knob.identity)
        if root == OURS and classes.keys() - {number} and number not in classes:
            root = DEFAULT
        elif root == DEFAULT and _tx_queue_length(knob.device) == 0:
            root = _UNQUEUED
        rate = classes.get(number)
        return {
            "root": root,
            "class": NONE if rate is None else str(rate),
            "marking": _marking(self._tables.statement(knob), number),
        }

    def write(self, knob: Knob, fields: Fields) -> None:
        """The class first and the marking last; the other way round when they go."""
        self._tables.check_present(knob)
        index, number = index_of(knob.device), htb.class_number(knob.identity)
        if fields["class"] == NONE:
            self._tables.remove(knob)
            htb.remove_class(index, number)
            return
        htb.put_class(index, number, int(fields["class"]))
        self._tables.put(knob, f"meta priority set {_class_name(number)}")

    def clean_up(self, knob: Knob) -> None:
        """Remove what is ours by name or number, with the cgroup or the uplink gone."""
        self._tables.remove(knob)
        with contextlib.suppress(Gone):
            htb.remove_class(index_of(knob.device), htb.class_number(knob.identity))


class CgroupPolicer:
    """`policer` is what nftables does with what the cgroup's sockets receive by the uplink."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """A policer of this rate."""
        if before["policer"] != NONE:
            raise Refused(
                f"a policer of ours stands there that nothing accounts for ({before['policer']}):"
                " see `nft list tables`",
                promise=3,
            )
        return {"policer": f"police {round(amounts['bytes'])}"}

    def read(self, knob: Knob) -> Fields:
        """How it stands. Gone without the cgroup or the uplink."""
        self._tables.check_present(knob)
        index_of(knob.device)
        return {"policer": _policer(self._tables.statement(knob))}

    def write(self, knob: Knob, fields: Fields) -> None:
        """Put it there or take it away."""
        self._tables.check_present(knob)
        if fields["policer"] == NONE:
            self._tables.remove(knob)
            return
        rate = fields["policer"].removeprefix("police ")
        burst = f"burst {_POLICED_BURST_BYTES} bytes"
        self._tables.put(knob, f"limit rate over {rate} bytes/second {burst} drop")

    def clean_up(self, knob: Knob) -> None:
        """Remove the table, with the cgroup or the uplink gone."""
        self._tables.remove(knob)


def _class_name(number: int) -> str:
    return f"{ROOT_HANDLE >> 16:x}:{number:x}"


def _marking(statement: list[Any] | None, number: int) -> str:
    if not statement:
        return NONE if statement == [] else OTHER
    match statement:
        case [{"mangle": {"key": {"meta": {"key": "priority"}}, "value": value}}]:
            known = (_class_name(number), ROOT_HANDLE | number)
            return _OUR_CLASS if value in known else OTHER
    return OTHER


def _policer(statement: list[Any] | None) -> str:
    if not statement:
        return NONE if statement == [] else OTHER
    match statement:
        case [{"limit": {"rate": rate, "rate_unit": "bytes", "per": "second"}}, {"drop": None}]:
            return f"police {rate}"
    return OTHER


def _tx_queue_length(uplink: str) -> int:
    """Asked by ioctl (netdevice(7)), which any socket takes: sysfs shows the interfaces of the
    network namespace that it was mounted in."""
    request = struct.pack("16s24x", os.fsencode(uplink))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, _GET_TX_QUEUE_LENGTH, request)
        except OSError as error:
            raise Gone(f"interface {uplink} does not exist") from error
    return int(struct.unpack_from("=i", answer, 16)[0])
