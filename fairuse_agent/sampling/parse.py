"""The kernel's figures out of its text. The hot part of a round: plain loops, no objects.

Every field is optional, for kernels differ: what is absent or malformed is None (not measured)
or left out, never an error and never zero.
"""

from __future__ import annotations

import re

DiskCounters = tuple[int, int, int, int]
"""Bytes read, bytes written, reads, writes since the counters began."""

_IO_STAT_LINE = re.compile(rb"^(\d+:\d+) rbytes=(\d+) wbytes=(\d+) rios=(\d+) wios=(\d+)", re.M)
_THROTTLE_LINES = re.compile(rb"^(\d+:\d+) Read (\d+)\n\1 Write (\d+)$", re.M)
"""The kernel writes these fields, and these two lines, next to each other and in this order."""

USAGE, THROTTLED, THROTTLED_V1 = b"usage_usec ", b"throttled_usec ", b"throttled_time "


def field(text: bytes, name: bytes) -> int | None:
    """The number of the line that begins with `name` in a flat file such as cpu.stat.

    `name` ends with its blank. No field's name is the end of another's in these files.
    """
    try:
        start = text.index(name) + len(name)
        return int(text[start : text.index(b"\n", start)])
    except ValueError:
        return None


def number(text: bytes) -> int | None:
    """The only number of a file such as cpuacct.usage."""
    try:
        return int(text)
    except ValueError:
        return None


def pressure_total(text: bytes) -> int | None:
    """Microseconds in which at least one task waited: `total` of a pressure file's first line,
    which is always that of `some`."""
    try:
        return int(text[text.index(b"total=") + 6 : text.index(b"\n")])
    except ValueError:
        return None


def io_stat(text: bytes) -> dict[bytes, DiskCounters]:
    """cgroup v2's io.stat: counters by b"MAJOR:MINOR". A disk without figures is left out."""
    return {
        device: (int(read), int(written), int(reads), int(writes))
        for device, read, written, reads, writes in _IO_STAT_LINE.findall(text)
    }


def disks_of_v1(transferred: bytes, serviced: bytes) -> dict[bytes, DiskCounters]:
    """Bytes and operations of cgroup v1's two files, put together."""
    operations = {
        device: (int(reads), int(writes))
        for device, reads, writes in _THROTTLE_LINES.findall(serviced)
    }
    return {
        device: (int(read), int(written), *operations.get(device, (0, 0)))
        for device, read, written in _THROTTLE_LINES.findall(transferred)
    }


def devices_of_v1(transferred: bytes) -> set[bytes]:
    """The disks that a blkio.throttle.io_service* file has lines for, be they zero."""
    return {device for device, _, _ in _THROTTLE_LINES.findall(transferred)}


def increase(before: int, now: int) -> int:
    """What a counter gained. One that went down began again at zero, so all of it is new."""
    return now - before if now >= before else now
