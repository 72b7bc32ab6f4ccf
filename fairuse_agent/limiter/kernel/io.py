"""Disk throttles in cgroup files, version 2 (io.max) and version 1 (blkio.throttle.*).

Both know one limit a direction, while an order is for reads and writes together. The order is
divided between them by present use (division.py), so that the two together hold.
"""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.limiter.kernel.disks import whole_disks
from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import (
    Mounts,
    group_of,
    identity_of,
    read_text,
    write_text,
)

UNLIMITED = "max"
_FIELD_OF_STREAM = {
    "read_bytes": "rbps",
    "write_bytes": "wbps",
    "read_operations": "riops",
    "write_operations": "wiops",
}
_V1_FILES = {
    "rbps": "blkio.throttle.read_bps_device",
    "wbps": "blkio.throttle.write_bps_device",
    "riops": "blkio.throttle.read_iops_device",
    "wiops": "blkio.throttle.write_iops_device",
}
_V2_COUNTERS = {
    "rbytes": "read_bytes",
    "wbytes": "write_bytes",
    "rios": "read_operations",
    "wios": "write_operations",
}
_NOT_ENABLED = "is the io controller enabled for this group (cgroup.subtree_control)?"


class DiskFiles:
    """`rbps`, `wbps`, `riops`, `wiops` (a number or "max") of one group on one whole disk."""

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts

    def way(self) -> str | None:
        """Which file is used here, or None without an io controller."""
        found = self._mounts.root_of("io", "blkio")
        if found is None:
            return None
        return "cgroup v2 io.max" if found[1] == 2 else "cgroup v1 blkio.throttle.*_device"

    def knobs(self, cgroup: str, disks: tuple[str, ...]) -> list[Knob]:
        """One knob a whole disk. Raises Gone, or Refused without an io controller or disks."""
        found = self._mounts.root_of("io", "blkio")
        if found is None:
            raise Refused("this host has no cgroup hierarchy with an io (blkio) controller")
        if not disks:
            raise Refused("no disks were named: set host.disks in agent.toml")
        root, version = found
        identity = identity_of(root, cgroup)
        return [
            Knob(
                kind="disk-v2" if version == 2 else "disk-v1",
                target=cgroup,
                identity=identity,
                device=device,
            )
            for device in whole_disks(disks)
        ]

    def measure(self, knob: Knob) -> dict[str, float]:
        """Bytes and operations read and written by the group on the disk."""
        group = self._group(knob)
        counters = dict.fromkeys(_FIELD_OF_STREAM, 0.0)
        if knob.kind == "disk-v2":
            for word in _words_of_device(read_text(group / "io.stat", _NOT_ENABLED), knob.device):
                name, _, value = word.partition("=")
                if name in _V2_COUNTERS:
                    counters[_V2_COUNTERS[name]] = float(value)
            return counters
        for name, suffix in (
            ("io_service_bytes_recursive", "bytes"),
            ("io_serviced_recursive", "operations"),
        ):
            for line in read_text(group / f"blkio.throttle.{name}", _NOT_ENABLED).splitlines():
                words = line.split()
                if words[0] == knob.device and words[1] in ("Read", "Write"):
                    counters[f"{words[1].lower()}_{suffix}"] = float(words[2])
        return counters

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """The throttles for these amounts. Where somebody else's is tighter, it stays; Refused
        when that leaves nothing to do."""
        wanted = dict(before)
        for stream, value in amounts.items():
            name = _FIELD_OF_STREAM[stream]
            if before[name] == UNLIMITED or int(before[name]) > value:
                wanted[name] = str(max(1, round(value)))
        if wanted == before:
            raise Refused("somebody else throttles it as tightly already", promise=3)
        return wanted

    def read(self, knob: Knob) -> Fields:
        """How the group stands on this disk."""
        group = self._group(knob)
        fields = dict.fromkeys(_V1_FILES, UNLIMITED)
        if knob.kind == "disk-v2":
            for word in _words_of_device(read_text(group / "io.max", _NOT_ENABLED), knob.device):
                name, _, value = word.partition("=")
                fields[name] = value
            return fields
        for name, file in _V1_FILES.items():
            for value in _words_of_device(read_text(group / file, _NOT_ENABLED), knob.device):
                fields[name] = value
        return fields

    def write(self, knob: Knob, fields: Fields) -> None:
        """One write on v2, one for each throttle on v1 (0 removes a rule there)."""
        group = self._group(knob)
        if knob.kind == "disk-v2":
            words = " ".join(f"{name}={fields[name]}" for name in _V1_FILES)
            write_text(group / "io.max", f"{knob.device} {words}", _NOT_ENABLED)
            return
        for name, file in _V1_FILES.items():
            value = "0" if fields[name] == UNLIMITED else fields[name]
            write_text(group / file, f"{knob.device} {value}", _NOT_ENABLED)

    def _group(self, knob: Knob) -> Path:
        found = self._mounts.root_of("io", "blkio")
        if found is None:
            raise KernelError("the cgroup hierarchy with the io controller is not mounted now")
        return group_of(found[0], knob)


def _words_of_device(content: str, device: str) -> list[str]:
    for line in content.splitlines():
        first, *words = line.split()
        if first == device:
            return words
    return []
