"""The kernel's figures out of its text. The hot part of a round: plain loops, no objects.

Every field is optional, for kernels differ: what is absent or malformed is None (not measured)
or left out, never an error and never zero.
"""

from __future__ import annotations

DiskCounters = tuple[int, int, int, int]
"""Bytes read, bytes written, reads, writes since the counters began."""

_IO_STAT_FIELDS = {b"rbytes": 0, b"wbytes": 1, b"rios": 2, b"wios": 3}


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
    """cgroup v2's io.stat: counters by "MAJOR:MINOR". A disk without figures is left out."""
    disks: dict[bytes, DiskCounters] = {}
    for line in text.splitlines():
        device, _, fields = line.partition(b" ")
        counters = [0, 0, 0, 0]
        known = False
        for item in fields.split():
            name, _, value = item.partition(b"=")
            place = _IO_STAT_FIELDS.get(name)
            if place is not None and value.isdigit():
                counters[place] = int(value)
                known = True
        if known and b":" in device:
            disks[device] = (counters[0], counters[1], counters[2], counters[3])
    return disks


def throttle_counters(text: bytes) -> dict[bytes, tuple[int, int]]:
    """cgroup v1's blkio.throttle.io_service*: (read, written) by "MAJOR:MINOR"."""
    disks: dict[bytes, tuple[int, int]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) != 3 or not words[2].isdigit() or b":" not in words[0]:
            continue
        device, kind, value = words
        if kind == b"Read":
            disks[device] = (int(value), disks.get(device, (0, 0))[1])
        elif kind == b"Write":
            disks[device] = (disks.get(device, (0, 0))[0], int(value))
    return disks


def disks_of_v1(transferred: bytes, serviced: bytes) -> dict[bytes, DiskCounters]:
    """Bytes and operations of cgroup v1's two files, put together."""
    operations = throttle_counters(serviced)
    return {
        device: (read, written, *operations.get(device, (0, 0)))
        for device, (read, written) in throttle_counters(transferred).items()
    }


def increase(before: int, now: int) -> int:
    """What a counter gained. One that went down began again at zero, so all of it is new."""
    return now - before if now >= before else now
