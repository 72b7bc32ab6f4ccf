"""Our HTB on an uplink: a class for each limited tenant, everything else straight through.

The root has no default class: HTB sends what no class takes past its classes and without a rate
(net/sched/sch_htb.c: HTB_DIRECT), so that the neighbours are as unlimited as before. A packet
finds its class by `skb->priority`, which holds the class's own number: no filter is needed.

A class keeps HTB's own queue: what waits here comes from this host's sockets, and each of those
has no more under way than its send buffer holds.
"""

from __future__ import annotations

from fairuse_agent.limiter.kernel import tcattr
from fairuse_agent.limiter.kernel.shaping import (
    DEFAULT,
    OURS,
    ROOT_HANDLE,
    class_for,
    netlink_module,
    shaping_of,
)

_NO_DEFAULT_CLASS = 0


def class_number(identity: int) -> int:
    """The class of a cgroup by its inode: 1 to 0xfffe, the same in every process."""
    return identity % 0xFFFE + 1


def standing(index: int) -> tuple[str, dict[int, int]]:
    """The root in a few words, and under ours the rate (bytes/s) of each class by its number."""
    root = shaping_of(index).root
    if root != OURS:
        return root, {}
    classes = netlink_module().classes(index)
    return root, {each.handle & 0xFFFF: tcattr.htb_class_rate(each.options) for each in classes}


def put_class(index: int, number: int, rate: int) -> None:
    """Hold one class to a rate; the root is put there where it is not yet."""
    netlink = netlink_module()
    if shaping_of(index).root == DEFAULT:
        netlink.replace_qdisc(index, "htb", ROOT_HANDLE, tcattr.htb(_NO_DEFAULT_CLASS))
    netlink.replace_class(index, "htb", ROOT_HANDLE | number, class_for(rate), ROOT_HANDLE)


def remove_class(index: int, number: int) -> None:
    """Take one class away, and with the last one the root: the kernel puts its default back."""
    root, classes = standing(index)
    if root != OURS:
        return
    if number in classes:
        netlink_module().delete_class(index, ROOT_HANDLE | number)
    if not classes.keys() - {number}:
        netlink_module().delete_root(index)
