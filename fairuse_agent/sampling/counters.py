"""A cgroup's counters and their arithmetic: what was gained, and what several have together."""

from __future__ import annotations

import msgspec

from fairuse_agent.sampling.parse import DiskCounters, increase

_NO_DISK: DiskCounters = (0, 0, 0, 0)


class Counters(msgspec.Struct, gc=False):
    """Times in microseconds and disks by b"MAJOR:MINOR"; totals or differences of totals.

    None: not measured, which is not zero.
    """

    cpu: int | None = None
    throttled: int | None = None
    cpu_waiting: int | None = None
    io_waiting: int | None = None
    disks: dict[bytes, DiskCounters] | None = None


JUST_MADE = Counters(0, 0, 0, 0, {})
"""What a cgroup's counters were before it was made: all that they say since is new."""


def gained(before: Counters, now: Counters) -> Counters:
    """What came between two readings of one cgroup. Figures missing in either are None."""
    return Counters(
        _gained(before.cpu, now.cpu),
        _gained(before.throttled, now.throttled),
        _gained(before.cpu_waiting, now.cpu_waiting),
        _gained(before.io_waiting, now.io_waiting),
        _disks_gained(before.disks, now.disks),
    )


def together(one: Counters, other: Counters) -> Counters:
    """Two cgroups of one tenant: use adds up; somebody waited at least as long as in either."""
    return Counters(
        _sum(one.cpu, other.cpu),
        _sum(one.throttled, other.throttled),
        _largest(one.cpu_waiting, other.cpu_waiting),
        _largest(one.io_waiting, other.io_waiting),
        _disks_sum(one.disks, other.disks),
    )


def _gained(before: int | None, now: int | None) -> int | None:
    if now is None or before is None:
        return None
    return now - before if now >= before else now


def _disks_gained(
    before: dict[bytes, DiskCounters] | None, now: dict[bytes, DiskCounters] | None
) -> dict[bytes, DiskCounters] | None:
    """By disk; one that did nothing is left out, one that shows for the first time began at 0."""
    if now is None or before is None:
        return None
    if now is before:  # Not a byte of the file changed.
        return {}
    moved = {}
    for device, counters in now.items():
        old = before.get(device, _NO_DISK)
        if counters != old:
            moved[device] = (
                increase(old[0], counters[0]),
                increase(old[1], counters[1]),
                increase(old[2], counters[2]),
                increase(old[3], counters[3]),
            )
    return moved


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _largest(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


def _disks_sum(
    one: dict[bytes, DiskCounters] | None, other: dict[bytes, DiskCounters] | None
) -> dict[bytes, DiskCounters] | None:
    if one is None or other is None:
        return one if other is None else other
    total = dict(one)
    for device, more in other.items():
        so_far = total.get(device, _NO_DISK)
        total[device] = (
            so_far[0] + more[0],
            so_far[1] + more[1],
            so_far[2] + more[2],
            so_far[3] + more[3],
        )
    return total
