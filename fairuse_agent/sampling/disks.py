"""Which whole disks are reported, and what the kernel's device numbers are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class DiskNames:
    """Names of the reported disks by b"MAJOR:MINOR", as cgroup files write it.

    Unless configured, all real disks are reported: those with hardware (or a hypervisor) behind
    them. What is stacked on them (RAID, LVM, loop devices) would count the same bytes again.
    """

    def __init__(self, sys_root: Path, configured: Sequence[str]) -> None:
        """`configured` may be written "sda" or "/dev/sda"; empty means all real disks."""
        self._block = sys_root / "block"
        self._configured = tuple(name.removeprefix("/dev/") for name in configured)
        self.by_number: dict[bytes, str] = {}
        self.notes: tuple[str, ...] = ()
        self.refresh()

    @property
    def reported(self) -> tuple[str, ...]:
        """Names of the disks that are there now."""
        return tuple(self.by_number.values())

    def refresh(self) -> None:
        """Look again which disks there are."""
        self.by_number = {}
        for name in self._configured or self._real():
            try:
                number = (self._block / name / "dev").read_bytes().strip()
            except OSError:
                continue
            self.by_number[number] = name
        self.notes = tuple(
            f"disk {name} is configured and not there"
            for name in self._configured
            if name not in self.by_number.values()
        )

    def _real(self) -> list[str]:
        if not self._block.is_dir():
            return []
        return sorted(entry.name for entry in self._block.iterdir() if (entry / "device").exists())
