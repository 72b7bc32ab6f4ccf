"""Disk throttles of units that systemd manages: its IO*Max properties, as runtime properties.

systemd keeps one list of disks and maxima for each of the four. A call changes the disks that it
names and leaves the others, so that other people's entries are never touched; an empty list would
reset them all and is never sent. systemd goes by the path that an entry was given, not by the
disk: two entries for one disk by different paths are both applied, the last one winning. So a
limit goes to every path that names the disk already, and to its node in /dev when none does.
"""

from __future__ import annotations

import os
from pathlib import Path

from fairuse_agent.limiter.kernel.disks import SYS, node_of, whole_disks
from fairuse_agent.limiter.kernel.io import DiskFiles
from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import Mounts, identity_of
from fairuse_agent.limiter.kernel.systemd import (
    UNLIMITED,
    UNSET,
    drop_in,
    read_properties,
    remove_drop_in,
    require_pystemd,
    set_properties,
    unit_name,
)

PERSISTENT_DROP_INS = Path("/etc/systemd/system.control")
"""Where `systemctl set-property` without --runtime writes."""

_PROPERTY_OF_STREAM = {
    "read_bytes": "IOReadBandwidthMax",
    "write_bytes": "IOWriteBandwidthMax",
    "read_operations": "IOReadIOPSMax",
    "write_operations": "IOWriteIOPSMax",
}
PROPERTIES = tuple(_PROPERTY_OF_STREAM.values())
_DROP_IN = "drop-in"


class UnitDisks:
    """The maxima of one unit on one whole disk, and whether a runtime drop-in stands for each.

    Fields are named by property and path ("IOReadBandwidthMax /dev/sda") and hold a number or
    "max". A knob's device is the disk's node.
    """

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts
        self._files = DiskFiles(mounts)

    def knobs(self, cgroup: str, disks: tuple[str, ...]) -> list[Knob]:
        """One knob a whole disk. Raises Gone, or Refused where systemd has no such limits."""
        found = self._mounts.root_of("io", "blkio")
        if found is None or found[1] != 2:
            raise Refused(
                f"{cgroup} is a unit that systemd manages, and systemd limits disk operations on"
                " cgroup v2 only"
            )
        if not disks:
            raise Refused("no disks were named: set host.disks in agent.toml")
        require_pystemd(cgroup)
        identity = identity_of(found[0], cgroup)
        return [
            Knob(kind="unit-disk", target=cgroup, identity=identity, device=node_of(device))
            for device in whole_disks(disks)
        ]

    def measure(self, knob: Knob) -> dict[str, float]:
        """Bytes and operations read and written by the unit on the disk."""
        device = _number_of(knob.device)
        if device is None:
            raise Gone(f"{knob.device} is not there any more")
        return self._files.measure(
            Knob(kind="disk-v2", target=knob.target, identity=knob.identity, device=device)
        )

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """The maxima for these amounts, on every path of the disk. Where somebody else's is
        tighter, it stays; Refused when that leaves nothing to do."""
        wanted = dict(before)
        for stream, value in amounts.items():
            name = _PROPERTY_OF_STREAM[stream]
            for field, standing in _of_property(before, name).items():
                if standing == UNLIMITED or int(standing) > value:
                    wanted[field] = str(max(1, round(value)))
                    wanted[f"{_DROP_IN} {name}"] = "set"
        if wanted == before:
            raise Refused("systemd throttles this unit as tightly already", promise=3)
        return wanted

    def read(self, knob: Knob) -> Fields:
        """How the unit stands on this disk."""
        unit = unit_name(knob)
        lists = {
            name: {os.fsdecode(path): int(value) for path, value in entries}
            for name, entries in read_properties(unit, PROPERTIES).items()
        }
        number = _number_of(knob.device)
        named = {path for entries in lists.values() for path in entries}
        paths = [path for path in sorted(named) if _names(path, knob.device, number)]
        fields = {}
        for name, entries in lists.items():
            for path in paths or [knob.device]:
                value = entries.get(path, UNSET)
                fields[f"{name} {path}"] = UNLIMITED if value == UNSET else str(value)
            fields[f"{_DROP_IN} {name}"] = drop_in(unit, name)
        return fields

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set what differs, one property a call."""
        unit, found = unit_name(knob), self.read(knob)
        for name in PROPERTIES:
            entries = [
                (field.partition(" ")[2], UNSET if value == UNLIMITED else int(value))
                for field, value in _of_property(fields, name).items()
                if found.get(field) != value
            ]
            if entries:
                value = (name.encode(), b"a(st)", [(os.fsencode(p), most) for p, most in entries])
                runtime = not _copied(unit, name, entries)
                set_properties(unit, {b"_custom": value}, runtime=runtime)
            if fields[f"{_DROP_IN} {name}"] == "unset":
                remove_drop_in(unit, name)


def _of_property(fields: Fields, name: str) -> Fields:
    return {field: value for field, value in fields.items() if field.startswith(f"{name} ")}


def _number_of(path: str) -> str | None:
    try:
        number = Path(path).stat().st_rdev
    except OSError:
        return None  # unplugged
    return f"{os.major(number)}:{os.minor(number)}"


def _names(path: str, node: str, number: str | None) -> bool:
    """True when systemd takes this path for the disk: its node, a link to it, something on it."""
    if path == node:
        return True
    try:
        found = Path(path).stat()
    except OSError:
        return False
    device = found.st_rdev or found.st_dev
    below = f"{os.major(device)}:{os.minor(device)}"
    return (
        number is not None
        and (SYS / "dev/block" / below).exists()
        and whole_disks((below,)) == (number,)
    )


def _copied(unit: str, name: str, entries: list[tuple[str, int]]) -> bool:
    """True when a limit of ours got into a lasting drop-in and would come back with it.

    `systemctl set-property` for one disk writes down what stands for all of them. Ours is what
    is tighter there than what is to stand now.
    """
    try:
        lines = (PERSISTENT_DROP_INS / f"{unit}.d" / f"50-{name}.conf").read_text().splitlines()
    except OSError:
        return False  # nobody has set it for good
    lasting = {}
    for line in lines:
        path, _, value = line.removeprefix(f"{name}=").rpartition(" ")
        if value.isdecimal():
            lasting[path] = int(value)
    return any(lasting.get(path, UNSET) < most for path, most in entries)
