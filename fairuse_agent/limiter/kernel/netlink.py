"""tc over netlink: the qdiscs, classes, filters and IFBs of an interface, by pyroute2's socket.

Messages carry the options that tcattr.py builds; pyroute2 does the rest. Nothing else imports
pyroute2, and this module is imported only when an interface is first limited: it takes 13 MB.
Each call opens a socket, speaks and closes it (2 ms), from a thread without a running loop.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pyroute2 import AsyncIPRoute, NetlinkError
from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
)
from pyroute2.netlink.rtnl import (
    RTM_DELQDISC,
    RTM_DELTCLASS,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTCLASS,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTCLASS,
    RTM_NEWTFILTER,
    TC_H_INGRESS,
    TC_H_ROOT,
)
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from fairuse_agent.limiter.kernel.knobs import Gone, KernelError

Result = TypeVar("Result")

INGRESS_HANDLE = 0xFFFF0000
_ORDER = NLM_F_REQUEST | NLM_F_ACK
_CREATE = _ORDER | NLM_F_CREATE | NLM_F_EXCL
_REPLACE = _ORDER | NLM_F_CREATE | NLM_F_REPLACE
_DUMP = NLM_F_REQUEST | NLM_F_DUMP
_ALL_PROTOCOLS = 0x0300  # htons(ETH_P_ALL)
OUR_PRIORITY = 0xFA1E
"""The priority (preference) that tells our filter from others'."""


class _RawTc(tcmsg):  # type: ignore[misc]  # pyroute2 has no types
    """tcmsg with its options left as bytes."""

    nla_map = tuple(
        (name, "cdata" if name == "TCA_OPTIONS" else kind) for name, kind in tcmsg.nla_map
    )
    # pyroute2 notes at a class that its map is compiled, and subclasses inherit the note: where
    # tcmsg was used before, this map would be passed over.
    _nlmsg_base__compiled_nla = False


_QDISC_MESSAGES = (RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC)
_CLASS_MESSAGES = (RTM_NEWTCLASS, RTM_DELTCLASS, RTM_GETTCLASS)
_FILTER_MESSAGES = (RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER)
_RAW_POLICY = dict.fromkeys((*_QDISC_MESSAGES, *_CLASS_MESSAGES, *_FILTER_MESSAGES), _RawTc)


@dataclass(frozen=True)
class Qdisc:
    """One qdisc as the kernel tells it; `handle` is 0 for those that the kernel put itself."""

    kind: str
    handle: int
    parent: int
    options: bytes


@dataclass(frozen=True)
class Class:
    """One class of a classful qdisc; `handle` is its whole name, the qdisc's number included."""

    kind: str
    handle: int
    parent: int
    options: bytes


Listed = TypeVar("Listed", Qdisc, Class)


@dataclass(frozen=True)
class Filter:
    """One filter; `info` is its priority and protocol as the kernel packs them."""

    kind: str
    handle: int
    info: int
    options: bytes

    @property
    def priority(self) -> int:
        """Its preference: filters with a lower one are asked first."""
        return self.info >> 16


def qdiscs(index: int) -> list[Qdisc]:
    """The qdiscs of an interface, at its root, its entrance and below classes."""
    return _listed(Qdisc, "the qdiscs", index, RTM_GETQDISC)


def classes(index: int) -> list[Class]:
    """The classes of an interface's qdiscs."""
    return _listed(Class, "the classes", index, RTM_GETTCLASS)


def _listed(kind: type[Listed], what: str, index: int, request: int) -> list[Listed]:
    return [
        kind(
            kind=message.get_attr("TCA_KIND"),
            handle=message["handle"],
            parent=message["parent"],
            options=message.get_attr("TCA_OPTIONS") or b"",
        )
        for message in _ask(what, index, request, _DUMP)
        if message["index"] == index
    ]


def filters(index: int, parent: int = INGRESS_HANDLE) -> list[Filter]:
    """The filters below a qdisc."""
    found = _ask("the filters", index, RTM_GETTFILTER, _DUMP, parent=parent)
    return [
        Filter(
            kind=message.get_attr("TCA_KIND"),
            handle=message["handle"],
            info=message["info"],
            options=message.get_attr("TCA_OPTIONS") or b"",
        )
        for message in found
        if message["index"] == index and _is_filter(message)
    ]


def _is_filter(message: Any) -> bool:
    """u32 lists its hash tables too: those have no node number in the handle's last 12 bits."""
    if message.get_attr("TCA_KIND") == "u32":
        return bool(message["handle"] & 0xFFF)
    return bool(message["handle"])


def replace_qdisc(
    index: int, kind: str, handle: int, options: bytes, parent: int = TC_H_ROOT
) -> None:
    """Put this qdisc at the root or below a class, or change the one with this handle there."""
    where = "at the root" if parent == TC_H_ROOT else f"below {parent >> 16:x}:{parent & 0xFFFF:x}"
    _ask(
        f"a {kind} {where}",
        index,
        RTM_NEWQDISC,
        _REPLACE,
        parent=parent,
        handle=handle,
        kind=kind,
        options=options,
    )


def replace_class(index: int, kind: str, handle: int, options: bytes, parent: int) -> None:
    """Add this class below a qdisc or a class, or change the one with this handle."""
    _ask(
        f"a {kind} class",
        index,
        RTM_NEWTCLASS,
        _REPLACE,
        parent=parent,
        handle=handle,
        kind=kind,
        options=options,
    )


def delete_class(index: int, handle: int) -> None:
    """Take one class away, with what is queued in it."""
    _ask("a class's removal", index, RTM_DELTCLASS, _ORDER, handle=handle)


def delete_root(index: int) -> None:
    """Take the root qdisc away: the kernel puts its default back."""
    _ask("the root qdisc's removal", index, RTM_DELQDISC, _ORDER, parent=TC_H_ROOT)


def add_ingress(index: int) -> None:
    """Give the interface an ingress qdisc."""
    _ask(
        "an ingress qdisc",
        index,
        RTM_NEWQDISC,
        _CREATE,
        parent=TC_H_INGRESS,
        handle=INGRESS_HANDLE,
        kind="ingress",
    )


def delete_ingress(index: int) -> None:
    """Take the ingress qdisc away, with its filters."""
    _ask(
        "the ingress qdisc's removal",
        index,
        RTM_DELQDISC,
        _ORDER,
        parent=TC_H_INGRESS,
        handle=INGRESS_HANDLE,
    )


def replace_filter(
    index: int, kind: str, handle: int, options: bytes, parent: int = INGRESS_HANDLE
) -> None:
    """Put this filter first for all protocols, or change the one with this handle."""
    _ask(
        f"a {kind} filter",
        index,
        RTM_NEWTFILTER,
        _REPLACE if handle else _CREATE,
        parent=parent,
        handle=handle,
        info=OUR_PRIORITY << 16 | _ALL_PROTOCOLS,
        kind=kind,
        options=options,
    )


def delete_filter(index: int, found: Filter, parent: int = INGRESS_HANDLE) -> None:
    """Take one filter away, named by everything that tells it from others."""
    _ask(
        "a filter's removal",
        index,
        RTM_DELTFILTER,
        _ORDER,
        parent=parent,
        handle=found.handle,
        info=found.info,
        kind=found.kind,
    )


def add_ifb(name: str) -> None:
    """Make an IFB and bring it up."""

    async def make(socket: Any) -> None:
        await socket.link("add", ifname=name, kind="ifb")
        await socket.link("set", ifname=name, state="up")

    _run(f"the IFB {name}", make)


def set_tx_queue_length(index: int, packets: int) -> None:
    """Set the interface's queue length, which qdiscs put there later start from."""

    async def change(socket: Any) -> None:
        await socket.link("set", index=index, txqlen=packets)

    _run(f"the queue length of interface {index}", change)


def delete_link(name: str) -> None:
    """Remove an interface that we made."""

    async def delete(socket: Any) -> None:
        await socket.link("del", ifname=name)

    _run(f"the removal of {name}", delete)


def _ask(
    what: str, index: int, message_type: int, flags: int, **words: int | str | bytes
) -> list[Any]:
    async def ask(socket: Any) -> list[Any]:
        message = _RawTc()
        message["index"] = index
        for name in ("parent", "handle", "info"):
            message[name] = words.get(name, 0)
        message["attrs"] = [
            (f"TCA_{name.upper()}", words[name]) for name in ("kind", "options") if name in words
        ]
        return [answer async for answer in await socket.nlm_request(message, message_type, flags)]

    return _run(f"{what} of interface {index}", ask)


def _run(what: str, ask: Callable[[Any], Awaitable[Result]]) -> Result:
    async def speak() -> Result:
        async with AsyncIPRoute() as socket:
            socket.register_policy(_RAW_POLICY)
            return await ask(socket)

    try:
        return asyncio.run(speak())
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            raise Gone(f"{what}: the interface does not exist") from error
        raise KernelError(
            f"{what}: the kernel answers {errno.errorcode.get(error.code, error.code)}"
            f" ({error.args[1] if len(error.args) > 1 else 'no text'}): see `tc qdisc show` and"
            " `tc filter show dev ... ingress`"
        ) from error
