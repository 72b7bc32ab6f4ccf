"""One cgroup's counters, read from descriptors that stay open.

Opening the files anew costs more than everything else in a round together. The price is about
5 kB of kernel memory a descriptor, so only files that no other one repeats are kept.
"""

from __future__ import annotations

import errno
import os
from os import pread
from pathlib import Path

from fairuse_agent.sampling import parse
from fairuse_agent.sampling.counters import Counters
from fairuse_agent.sampling.hierarchy import Hierarchies
from fairuse_agent.sampling.parse import DiskCounters

_FLAT_BYTES = 1024
"""Holds a whole cpu.stat or pressure file."""
_DISKS_BYTES = 4096
"""Holds some 30 disks; a longer file is read again with what it needs."""

_ABSENT = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP, errno.ENOTDIR)
"""Ways in which a kernel says that it has no such figure (for this cgroup, now)."""


class CgroupGoneError(Exception):
    """The cgroup that these descriptors belong to was removed."""


class CgroupFiles:
    """The open files of one cgroup in every hierarchy that tells something of it."""

    __slots__ = (
        "_cpu",
        "_cpu_pressure",
        "_cpuacct",
        "_disks",
        "_disks_text",
        "_io",
        "_io_pressure",
        "_serviced",
        "_throttle",
        "_transferred",
        "path",
        "trouble",
        "wanted",
    )

    def __init__(self, path: str, hierarchies: Hierarchies, *, psi: bool) -> None:
        """Open what there is; raise CgroupGoneError when no file tells CPU usage."""
        self.path = path
        self.trouble = ""
        """Why something that should be there could not be read; empty when all is well."""
        self.wanted = _wanted_files(path, hierarchies, psi=psi)
        self._cpu = self._cpuacct = self._throttle = -1
        self._cpu_pressure = self._io_pressure = -1
        self._io = self._transferred = self._serviced = -1
        self._disks: dict[bytes, DiskCounters] | None = None
        self._disks_text = b""
        self.open_missing()
        if self._cpu < 0 and self._cpuacct < 0 and not self.trouble:
            self.close()
            raise CgroupGoneError(path)

    def open_missing(self) -> None:
        """Try again what was absent: a controller or PSI may have been switched on since."""
        self.trouble = ""
        for slot, file in self.wanted:
            if getattr(self, slot) >= 0 or (slot == "_cpuacct" and self._cpu >= 0):
                continue
            try:
                setattr(self, slot, os.open(file, os.O_RDONLY))
            except OSError as error:
                if error.errno not in _ABSENT:
                    self.trouble = f"{file}: {error.strerror}"

    def close(self) -> None:
        """Let go of all descriptors."""
        for slot, _ in self.wanted:
            if getattr(self, slot) >= 0:
                os.close(getattr(self, slot))
                setattr(self, slot, -1)

    def read(self, *, disks: bool = True) -> Counters:
        """All counters now. Raises CgroupGoneError when the cgroup is gone.

        `disks` False leaves the disks' counters out, where the kernel is known not to count.
        """
        counters = Counters()
        try:
            if self._cpu >= 0:
                text = pread(self._cpu, _FLAT_BYTES, 0)
                counters.cpu = parse.field(text, b"usage_usec")
                if self._throttle < 0:
                    counters.throttled = parse.field(text, b"throttled_usec")
            elif self._cpuacct >= 0:
                usage = parse.number(pread(self._cpuacct, _FLAT_BYTES, 0))
                counters.cpu = None if usage is None else usage // 1000
        except OSError as error:
            raise CgroupGoneError(self.path) from error
        if self._throttle >= 0:
            throttled = parse.field(self._pread("_throttle"), b"throttled_time")
            counters.throttled = None if throttled is None else throttled // 1000
        if self._cpu_pressure >= 0:
            counters.cpu_waiting = parse.pressure_total(self._pread("_cpu_pressure"))
        if self._io_pressure >= 0:
            counters.io_waiting = parse.pressure_total(self._pread("_io_pressure"))
        if disks:
            counters.disks = self._read_disks()
        return counters

    def _read_disks(self) -> dict[bytes, DiskCounters] | None:
        """The disks' counters; the very same dict as before when no byte of them changed."""
        if self._io >= 0:
            text = self._pread("_io", _DISKS_BYTES)
            if text != self._disks_text or self._disks is None:
                self._disks, self._disks_text = parse.io_stat(text), text
        elif self._transferred >= 0:
            text = self._pread("_transferred", _DISKS_BYTES)
            serviced = self._pread("_serviced", _DISKS_BYTES)
            if text + serviced != self._disks_text or self._disks is None:
                self._disks, self._disks_text = parse.disks_of_v1(text, serviced), text + serviced
        return self._disks

    def _pread(self, slot: str, size: int = _FLAT_BYTES) -> bytes:
        """One file's text; empty, and the file closed, when it can be read no more.

        A pressure file that `cgroup.pressure` switches off fails with ENODEV while its cgroup
        lives on.
        """
        descriptor: int = getattr(self, slot)
        if descriptor < 0:
            return b""
        try:
            text = pread(descriptor, size, 0)
            while len(text) == size:
                size *= 4
                text = pread(descriptor, size, 0)
        except OSError:
            os.close(descriptor)
            setattr(self, slot, -1)
            return b""
        return text


def _wanted_files(path: str, on: Hierarchies, *, psi: bool) -> tuple[tuple[str, str], ...]:
    """Slot and file of everything that could tell something of this cgroup."""
    files: list[tuple[str, Path, str]] = []
    if on.v2 is not None:
        files.append(("_cpu", on.v2, "cpu.stat"))
        if psi:
            files.append(("_cpu_pressure", on.v2, "cpu.pressure"))
            files.append(("_io_pressure", on.v2, "io.pressure"))
        if on.blkio_v1 is None:
            files.append(("_io", on.v2, "io.stat"))
    if on.cpuacct_v1 is not None:
        files.append(("_cpuacct", on.cpuacct_v1, "cpuacct.usage"))
    if on.cpu_v1 is not None:
        files.append(("_throttle", on.cpu_v1, "cpu.stat"))
    if on.blkio_v1 is not None:
        files.append(("_transferred", on.blkio_v1, "blkio.throttle.io_service_bytes_recursive"))
        files.append(("_serviced", on.blkio_v1, "blkio.throttle.io_serviced_recursive"))
    return tuple((slot, f"{root}{path}/{name}") for slot, root, name in files)
