"""Our HTB on an uplink: a class for each limited tenant, everything else straight through.

The root has no default class: HTB sends what no class takes past its classes and without a rate
(net/sched/sch_htb.c: HTB_DIRECT), so that the neighbours are as unlimited as before. A packet
finds its class by `skb->priority`, which holds the class's own number: no filter is needed.

A class keeps HTB's own queue: what waits here comes from this host's sockets, and each of those
has no more under way than its send buffer holds.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from fairuse_agent.limiter.kernel import tcattr
from fairuse_agent.limiter.kernel.traffic import (
    BURST_SECONDS,
    DEFAULT,
    HIGHEST_BURST_BYTES,
    ROOT_HANDLE,
    SMALLEST_BURST_BYTES,
    root_of,
)

ROOT = f"htb {ROOT_HANDLE >> 16:x}:"
"""How `root_of` tells our root."""
_NO_DEFAULT_CLASS = 0
_TURN_BYTES = 65_536
"""What a class sends in turn with others: one merged packet."""


def class_number(identity: int) -> int:
    """The class of a cgroup by its inode: 1 to 0xfffe, the same in every process."""
    return identity % 0xFFFE + 1


def standing(index: int) -> tuple[str, dict[int, int]]:
    """The root in a few words, and under ours the rate (bytes/s) of each class by its number."""
    root = root_of(index)
    if root != ROOT:
        return root, {}
    classes = _netlink().classes(index)
    return root, {each.handle & 0xFFFF: tcattr.htb_class_rate(each.options) for each in classes}


def put_class(index: int, number: int, rate: int) -> None:
    """Hold one class to a rate; the root is put there where it is not yet."""
    if root_of(index) == DEFAULT:
        _netlink().replace_root(index, "htb", ROOT_HANDLE, tcattr.htb(_NO_DEFAULT_CLASS))
    burst = min(max(SMALLEST_BURST_BYTES, int(rate * BURST_SECONDS)), HIGHEST_BURST_BYTES)
    options = tcattr.htb_class(rate, burst, _TURN_BYTES)
    _netlink().replace_class(index, "htb", ROOT_HANDLE | number, options, ROOT_HANDLE)


def remove_class(index: int, number: int) -> None:
    """Take one class away, and with the last one the root: the kernel puts its default back."""
    root, classes = standing(index)
    if root != ROOT:
        return
    if number in classes:
        _netlink().delete_class(index, ROOT_HANDLE | number)
    if not classes.keys() - {number}:
        _netlink().delete_root(index)


def _netlink() -> ModuleType:
    """Imported at first use, as in traffic.py."""
    return importlib.import_module("fairuse_agent.limiter.kernel.netlink")
