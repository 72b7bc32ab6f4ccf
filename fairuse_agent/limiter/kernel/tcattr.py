"""The netlink attributes of tc that pyroute2 has no words for, as bytes. Pure.

pyroute2's own encoders leave out 64-bit rates (so they end near 34 Gbit/s) and a policer's mtu
(so merged packets count as exceeding). Layouts and numbers are those of linux/pkt_sched.h,
linux/pkt_cls.h and linux/tc_act/tc_mirred.h, in the host's byte order.
"""

from __future__ import annotations

import struct

TICK_NANOSECONDS = 64
"""PSCHED_SHIFT: the unit of times in these structures."""

_HTB_PARMS, _HTB_INIT, _HTB_RATE64, _HTB_CEIL64 = 1, 2, 6, 7
_HTB_VERSION = 3
_HTB_RATE_TO_QUANTUM = 10
"""HTB's own default; it only counts for classes that name no quantum, and ours do."""
_POLICE_TBF, _POLICE_RATE, _POLICE_RATE64 = 1, 2, 8
_MIRRED_PARMS = 2
_U32_CLASSID, _U32_SEL, _U32_ACT = 1, 5, 7
_MATCHALL_ACT = 2
_ACT_KIND, _ACT_OPTIONS = 1, 2
_NLA_F_NESTED = 0x8000
_ACT_SHOT, _ACT_STOLEN = 2, 4
_EGRESS_REDIRECT = 1
_RATESPEC = struct.Struct("=BBHhHI")
_UINT32_MAX = 2**32 - 1
_RATE_TABLE = bytes(1024)
_CELL_LOG = 3
"""Old kernels computed times from this table; since 3.8 a policer must bring it, with a cell size
that is not 0 (qdisc_get_rtab, net/sched/sch_api.c), and neither is used."""


def attribute(kind: int, body: bytes) -> bytes:
    """One netlink attribute, padded to four bytes."""
    length = 4 + len(body)
    return struct.pack("=HH", length, kind) + body + bytes(-length % 4)


def attributes(content: bytes) -> dict[int, bytes]:
    """The attributes of one level, by number without its flags."""
    found, offset = {}, 0
    while offset + 4 <= len(content):
        length, kind = struct.unpack_from("=HH", content, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = content[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def htb(default_class: int) -> bytes:
    """Options of an HTB that sends what nothing classifies to the class with this minor number."""
    glob = struct.pack("=IIIII", _HTB_VERSION, _HTB_RATE_TO_QUANTUM, default_class, 0, 0)
    return attribute(_HTB_INIT, glob)


def htb_class(rate: int, burst: int, quantum: int, ceiling: int | None = None) -> bytes:
    """Options of an HTB class: bytes/s, bytes at once, bytes a turn. It may borrow up to
    `ceiling` (bytes/s, by default the rate: nothing).

    `burst` goes for both buckets: HTB's defaults are tiny, and a change takes on whatever is left
    out, so that all of it is told each time.
    """
    ceiling = rate if ceiling is None else ceiling
    parms = _rate_spec(rate) + _rate_spec(ceiling)
    parms += struct.pack("=IIIII", _ticks(burst, rate), _ticks(burst, ceiling), quantum, 0, 0)
    return attribute(_HTB_PARMS, parms) + _rate64(_HTB_RATE64, rate) + _rate64(_HTB_CEIL64, ceiling)


def htb_class_rate(options: bytes) -> int:
    """The rate (bytes/s) out of an HTB class's options."""
    found = attributes(options)
    if _HTB_RATE64 in found:
        return int(struct.unpack_from("=Q", found[_HTB_RATE64])[0])
    return int(_RATESPEC.unpack_from(found[_HTB_PARMS])[5])


def byte_queue(limit: int) -> bytes:
    """Options of a bfifo: bytes queued at most. A fifo's options are a bare structure."""
    return struct.pack("=I", limit)


def byte_queue_limit(options: bytes) -> int:
    """The limit (bytes) out of a bfifo's options."""
    return int(struct.unpack_from("=I", options)[0])


def police(rate: int, burst: int, mtu: int) -> bytes:
    """A list of one policer that drops what exceeds: bytes/s, bytes at once, largest packet."""
    parms = struct.pack("=IiIII", 0, _ACT_SHOT, 0, _ticks(burst, rate), mtu)
    parms += _rate_spec(rate, _CELL_LOG) + _rate_spec(0) + struct.pack("=iiI", 0, 0, 0)
    options = (
        attribute(_POLICE_TBF, parms)
        + attribute(_POLICE_RATE, _RATE_TABLE)
        + _rate64(_POLICE_RATE64, rate)
    )
    return _action(b"police", options)


def redirect(interface_index: int) -> bytes:
    """A list of one action that moves every packet to the egress of another interface."""
    parms = struct.pack("=IIiiiiI", 0, 0, _ACT_STOLEN, 0, 0, _EGRESS_REDIRECT, interface_index)
    return _action(b"mirred", attribute(_MIRRED_PARMS, parms))


def u32_all(actions: bytes) -> bytes:
    """Options of a u32 filter that takes every packet."""
    selector = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
    return (
        attribute(_U32_CLASSID, struct.pack("=I", 0))
        + attribute(_U32_ACT | _NLA_F_NESTED, actions)
        + attribute(_U32_SEL, selector)
    )


def matchall(actions: bytes) -> bytes:
    """Options of a matchall filter."""
    return attribute(_MATCHALL_ACT | _NLA_F_NESTED, actions)


def action_of(kind: str, options: bytes) -> str:
    """What a u32 or matchall filter does: "redirect INDEX", "police RATE", or another's kind."""
    level = attributes(options).get(_U32_ACT if kind == "u32" else _MATCHALL_ACT)
    if level is None:
        return "no action"
    actions = [attributes(action) for action in attributes(level).values()]
    if len(actions) != 1:
        return f"{len(actions)} actions"
    name = actions[0][_ACT_KIND].rstrip(b"\0").decode()
    details = attributes(actions[0].get(_ACT_OPTIONS, b""))
    if name == "mirred":
        return f"redirect {struct.unpack_from('=I', details[_MIRRED_PARMS], 24)[0]}"
    if name == "police":
        rate64 = details.get(_POLICE_RATE64)
        rate = (
            struct.unpack_from("=Q", rate64)[0]
            if rate64
            else _RATESPEC.unpack_from(details[_POLICE_TBF], 20)[5]
        )
        return f"police {rate}"
    return name


def _action(kind: bytes, options: bytes) -> bytes:
    body = attribute(_ACT_KIND, kind + b"\0") + attribute(_ACT_OPTIONS | _NLA_F_NESTED, options)
    return attribute(1 | _NLA_F_NESTED, body)


def _rate_spec(rate: int, cell_log: int = 0) -> bytes:
    """struct tc_ratespec for Ethernet; a 64-bit rate is told by its own attribute as well."""
    linklayer_ethernet = 1 if rate else 0
    return _RATESPEC.pack(cell_log, linklayer_ethernet, 0, 0, 0, min(rate, _UINT32_MAX))


def _rate64(kind: int, rate: int) -> bytes:
    return attribute(kind, struct.pack("=Q", rate)) if rate > _UINT32_MAX else b""


def _ticks(size: int, rate: int) -> int:
    return min(size * 1_000_000_000 // rate // TICK_NANOSECONDS, _UINT32_MAX)
