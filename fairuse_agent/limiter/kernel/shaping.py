"""Our shaper on an interface: an HTB at the root, one class of it for everything, and a queue.

Putting it there takes three steps (qdisc, class, queue) and taking it away one. Until the class
is there HTB lets everything through, and until the queue is there packets wait in the one that
HTB makes: whatever a crash leaves, it is seen to be ours, holds nobody under the rate, and goes
with its root.

HTB rather than TBF: one pair of buckets serves all rates from 1 Mbit/s to 60 Gbit/s, merged
packets pass whole (TBF takes them apart), and the same classes share an uplink among tenants.
The queue is bounded in bytes, because HTB's own is bounded in packets, which at a low rate wait
for many seconds.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from fairuse_agent.limiter.kernel import tcattr

ROOT_HANDLE = 0xFA1E0000
"""Ours by sight: the HTB fa1e:."""
CLASS_HANDLE = ROOT_HANDLE | 1
QUEUE_HANDLE = 0xFA1F0000
_ROOT = 0xFFFFFFFF
"""TC_H_ROOT (linux/pkt_sched.h)."""

DEFAULT = "kernel default"
OURS = "htb fa1e:"

BURST_SECONDS = 0.02
"""Five timer ticks at HZ=250: under one tick's worth a shaper cannot reach its rate."""
SMALLEST_BURST_BYTES = 16_000
"""An Ethernet jumbo frame and some. A larger merged packet passes once the bucket is full, and
is paid for afterwards."""
HIGHEST_BURST_BYTES = 2**30
LONGEST_QUEUE_SECONDS = 0.05
SMALLEST_QUEUE_BYTES = 128_000
"""Two merged packets. At 5 Mbit/s that is 0.2 s: with half, TCP loses much and stays under the
rate for seconds; with twice, its acknowledgements come too late when both ways are held."""
QUANTUM_BYTES = 65_536
"""A turn of the only class: one merged packet."""


@dataclass(frozen=True)
class Shaping:
    """How the root of an interface stands: DEFAULT, OURS, or what it is of somebody else's; of
    ours the rate (bytes/s) and the queue (bytes), None where that step was not taken."""

    root: str
    rate: int | None = None
    queue: int | None = None


def queue_for(rate: int) -> int:
    """How many bytes may wait at a rate in bytes/s."""
    longest = max(SMALLEST_QUEUE_BYTES, int(rate * LONGEST_QUEUE_SECONDS))
    return min(longest, HIGHEST_BURST_BYTES)


def class_for(rate: int) -> bytes:
    """Options of our class for a rate in bytes/s."""
    burst = min(max(SMALLEST_BURST_BYTES, int(rate * BURST_SECONDS)), HIGHEST_BURST_BYTES)
    return tcattr.htb_class(rate, burst, QUANTUM_BYTES)


def shaping_of(index: int) -> Shaping:
    """How the interface stands. Whatever the kernel put there by itself has no handle."""
    netlink = netlink_module()
    found = netlink.qdiscs(index)
    root = next((qdisc for qdisc in found if qdisc.parent == _ROOT), None)
    if root is None or root.handle == 0:
        return Shaping(DEFAULT)
    if (root.kind, root.handle) != ("htb", ROOT_HANDLE):
        return Shaping(f"{root.kind} {root.handle >> 16:x}:")
    rates = [
        tcattr.htb_class_rate(each.options)
        for each in netlink.classes(index)
        if each.handle == CLASS_HANDLE
    ]
    queues = [
        tcattr.byte_queue_limit(qdisc.options)
        for qdisc in found
        if (qdisc.kind, qdisc.parent) == ("bfifo", CLASS_HANDLE)
    ]
    return Shaping(OURS, rates[0] if rates else None, queues[0] if queues else None)


def shape(index: int, rate: int) -> None:
    """Hold the interface to `rate` bytes/s, whatever of ours stands there already."""
    netlink = netlink_module()
    if shaping_of(index).root != OURS:
        netlink.replace_qdisc(index, "htb", ROOT_HANDLE, tcattr.htb(CLASS_HANDLE & 0xFFFF))
    netlink.replace_class(index, "htb", CLASS_HANDLE, class_for(rate), ROOT_HANDLE)
    queue = tcattr.byte_queue(queue_for(rate))
    netlink.replace_qdisc(index, "bfifo", QUEUE_HANDLE, queue, CLASS_HANDLE)


def unshape(index: int) -> None:
    """Take our root away with all below it: the kernel puts its default back."""
    netlink_module().delete_root(index)


def netlink_module() -> ModuleType:
    """Imported at first use: a host whose interfaces are never limited is spared its memory."""
    return importlib.import_module("fairuse_agent.limiter.kernel.netlink")
