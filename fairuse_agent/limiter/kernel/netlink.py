"""tc over netlink: qdiscs, filters and IFBs of one interface, through pyroute2's socket.

Messages carry the options that tcattr.py builds; pyroute2 does the rest. It is imported here
and nowhere else, and this module only when an interface is first limited: it takes 13 MB.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute, NetlinkError
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST
from pyroute2.netlink.rtnl import (
    RTM_DELQDISC,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    TC_H_INGRESS,
    TC_H_ROOT,
)
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from fairuse_agent.limiter.kernel.knobs import Gone, KernelError

INGRESS_HANDLE = 0xFFFF0000
ETH_P_ALL = 0x0003
_REPLACE = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | 0x100  # NLM_F_REPLACE
_NEW = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
_DUMP = NLM_F_REQUEST | NLM_F_DUMP
_ORDER = NLM_F_REQUEST | NLM_F_ACK


class _RawTc(tcmsg):  # type: ignore[misc]  # pyroute2 is untyped
    """tcmsg with its options as bytes."""

    nla_map = tuple(
        (name, "cdata" if name == "TCA_OPTIONS" else kind) for name, kind in tcmsg.nla_map
    )


class _RawParser:
    """Decode answers about tc with _RawTc."""

    def __init__(self, received: list[Any]) -> None:
        self.received = received


@dataclass(frozen=True)
class Qdisc:
    """One qdisc as the kernel tells it."""

    kind: str
    handle: int
    options: bytes


@dataclass(frozen=True)
class Filter:
    """One filter: `info` is its priority and protocol as the kernel packs them."""

    kind: str
    handle: int
    info: int
    options: bytes
