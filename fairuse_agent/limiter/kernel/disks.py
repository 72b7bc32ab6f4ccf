"""Whole disks: which there are, which one a partition or a mapped device stands on."""

from __future__ import annotations

import os
from pathlib import Path

from fairuse_agent.limiter.kernel.knobs import Refused
from fairuse_agent.limiter.kernel.mounts import LONGEST_NAME_BYTES, Mounts, write_text

SYS = Path("/sys")
ARMING_GROUP = "fairuse-limiter-arming"
ARMING_BYTES_PER_SECOND = 10**15
"""Far over any disk, but a rule to the kernel (2^64-1 would be none)."""


def real_disks(sys: Path = SYS) -> dict[str, str]:
    """Name to "MAJ:MIN" of the disks that have hardware or a hypervisor behind them."""
    return {
        path.name: (path / "dev").read_text().strip()
        for path in sorted((sys / "block").iterdir())
        if (path / "device").exists()
    }


def whole_disks(names: tuple[str, ...], sys: Path = SYS) -> tuple[str, ...]:
    """ "MAJ:MIN" of the whole disks under these devices ("sda1", "/dev/dm-0", "8:0"), each once.

    A throttle on a partition is refused by the kernel, and one on a mapped device (LVM, RAID,
    encryption) does not always hold; the disks below are what is shared.
    """
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys(_below(_device_directory(name, sys), sys)))
    return tuple(found)


def node_of(device: str, sys: Path = SYS) -> str:
    """The node in /dev of a device given as "MAJ:MIN"."""
    return f"/dev/{_device_directory(device, sys).name.replace('!', '/')}"


def _device_directory(name: str, sys: Path) -> Path:
    plain = name.removeprefix("/dev/").replace("/", "!")
    if not plain or "\0" in name or len(os.fsencode(name)) > LONGEST_NAME_BYTES:
        raise Refused(f"{name[:100]!r}: expected a block device's name such as sda")
    directory = sys / "dev/block" / plain if ":" in plain else sys / "class/block" / plain
    if not directory.exists() and name.startswith("/dev/"):
        directory = sys / "class/block" / Path(name).resolve().name
    if not (directory / "dev").exists():
        raise Refused(f'"{name}" is no block device of this host: see /sys/class/block')
    return directory.resolve()


def _below(directory: Path, sys: Path) -> list[str]:
    if (directory / "partition").exists():
        directory = directory.parent
    slaves = directory / "slaves"
    lower = sorted(slaves.iterdir()) if slaves.is_dir() else []
    if not lower:
        return [(directory / "dev").read_text().strip()]
    return [disk for slave in lower for disk in _below(slave.resolve(), sys)]


def arm_disk_counters(mounts: Mounts, sys: Path = SYS) -> tuple[str, ...]:
    """Make cgroup v1 count disk use, and return the disks that now do.

    The counters behind `blkio.throttle.io_service_bytes` stay at 0 for everybody until one
    throttle rule was written for the disk. A rule that nothing can reach, in a group of our own
    that is removed again, is enough (tried on Linux 6.18). On v2 nothing has to be done.
    """
    blkio = mounts.v1.get("blkio")
    if blkio is None or "io" in mounts.v2_controllers:
        return ()
    group = blkio / ARMING_GROUP
    group.mkdir(exist_ok=True)
    try:
        armed = []
        for name, device in real_disks(sys).items():
            write_text(
                group / "blkio.throttle.read_bps_device",
                f"{device} {ARMING_BYTES_PER_SECOND}",
                "disk use will not be counted",
            )
            armed.append(name)
        return tuple(armed)
    finally:
        group.rmdir()
