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

_FLAT_BYTES = 448
"""Holds a whole cpu.stat or pressure file, and what Python keeps of it stays under the 512 bytes
that its quick allocator serves."""

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
        "before",
        "path",
        "trouble",
        "wanted",
    )

    def __init__(self, path: str, hierarchies: Hierarchies, *, psi: bool) -> None:
        """Open what there is. Raises CgroupGoneError when no file tells CPU usage."""
        self.path = path
        self.before: Counters | None = None
        """What was read in the last round; the reader of rounds keeps it here."""
        self.trouble = ""
        """Why something that should be there could not be read; empty when all is well."""
        self.wanted = _wanted_files(path, hierarchies, psi=psi)
        self._cpu = self._cpuacct = self._throttle = -1
        self._cpu_pressure = self._io_pressure = -1
        self._io = self._transferred = self._serviced = -1
        self._disks: dict[bytes, DiskCounters] | None = None
        self._disks_text: bytes | None = None
        self.open_missing()

    def open_missing(self) -> None:
        """Open what is absent so far: a controller or PSI may have been switched on since.

        Raises CgroupGoneError when no file tells CPU usage.
        """
        self.trouble = ""
        for slot, file in self.wanted:
            if getattr(self, slot) >= 0 or (slot == "_cpuacct" and self._cpu >= 0):
                continue
            try:
                setattr(self, slot, os.open(file, os.O_RDONLY))
            except OSError as error:
                if error.errno not in _ABSENT:
                    self.trouble = f"{file}: {error.strerror}"
        if self._cpu < 0 and self._cpuacct < 0 and not self.trouble:
            self.close()
            raise CgroupGoneError(self.path)

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
        usage = throttled = cpu_waiting = io_waiting = None
        try:
            if self._cpu >= 0:
                text = pread(self._cpu, _FLAT_BYTES, 0)
                usage = parse.field(text, parse.USAGE)
                if self._throttle < 0:
                    throttled = parse.field(text, parse.THROTTLED)
            elif self._cpuacct >= 0:
                usage = parse.number(pread(self._cpuacct, _FLAT_BYTES, 0))
                usage = None if usage is None else usage // 1000
        except OSError as error:
            raise CgroupGoneError(self.path) from error
        before = self.before
        if before is not None and before.cpu == usage and before.throttled is not None:
            throttled = before.throttled  # Who did not run was not held back from running.
        elif self._throttle >= 0:
            try:
                throttled = parse.field(pread(self._throttle, _FLAT_BYTES, 0), parse.THROTTLED_V1)
                throttled = None if throttled is None else throttled // 1000
            except OSError:
                self._drop("_throttle")
        if self._cpu_pressure >= 0:
            try:
                cpu_waiting = parse.pressure_total(pread(self._cpu_pressure, _FLAT_BYTES, 0))
            except OSError:
                self._drop("_cpu_pressure")
        if self._io_pressure >= 0:
            try:
                io_waiting = parse.pressure_total(pread(self._io_pressure, _FLAT_BYTES, 0))
            except OSError:
                self._drop("_io_pressure")
        return Counters(
            usage, throttled, cpu_waiting, io_waiting, self._read_disks() if disks else None
        )

    def _read_disks(self) -> dict[bytes, DiskCounters] | None:
        """The disks' counters; the very same dict as before when no byte of them changed."""
        slot = "_io" if self._io >= 0 else "_transferred"
        descriptor = self._io if self._io >= 0 else self._transferred
        if descriptor < 0:
            return None
        try:
            text = _whole(descriptor)
            if text == self._disks_text:
                return self._disks
            if slot == "_io":
                self._disks = parse.io_stat(text)
            else:
                # Operations cannot change when bytes do not: the second file waits till then.
                slot = "_serviced"
                serviced = _whole(self._serviced) if self._serviced >= 0 else b""
                self._disks = parse.disks_of_v1(text, serviced)
        except OSError:
            self._drop(slot)
            return None
        self._disks_text = text
        return self._disks

    def _drop(self, slot: str) -> None:
        """This file can be read no more, until `open_missing` finds it again.

        A pressure file that `cgroup.pressure` switches off fails with ENODEV while its cgroup
        lives on.
        """
        os.close(getattr(self, slot))
        setattr(self, slot, -1)


def _whole(descriptor: int) -> bytes:
    """A file of any length; nearly all fit into the first read."""
    size = _FLAT_BYTES
    text = pread(descriptor, size, 0)
    while len(text) == size:
        size *= 4
        text = pread(descriptor, size, 0)
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
