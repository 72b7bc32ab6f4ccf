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
        "_disks_now",
        "_disks_text",
        "_io",
        "_io_pressure",
        "_serviced",
        "_throttle",
        "_told",
        "_transferred",
        "_usage_now",
        "_usage_text",
        "_waits_known_until",
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
        self._usage_now: bytes | None = None
        self._disks_now: bytes | None = None
        """What the kernel said when it was last asked; None: it said nothing."""
        self._usage_text: bytes | None = None
        self._disks_text: bytes | None = None
        self._disks: dict[bytes, DiskCounters] | None = None
        """What `_told` was made from, and what the disks' part of it says."""
        self._told: Counters | None = None
        """What `read` returned last."""
        self._waits_known_until = 0.0
        """Until then nobody is taken to wait where nobody runs; of the reader's clock."""
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
                self._waits_known_until = 0.0  # What it says is known from the next round on.
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
        self._waits_known_until = 0.0
        self._told = None

    def peek(self, *, disks: bool = True) -> None:
        """Ask the kernel for the processor's and the disks' counters, which move when anything
        runs or is transferred.

        `disks` False leaves these out, where the kernel is known not to count.
        """
        try:
            usage = self._cpu if self._cpu >= 0 else self._cpuacct
            self._usage_now = pread(usage, _FLAT_BYTES, 0)
        except OSError:
            self._usage_now = None
        self._disks_now = self._peek_disks() if disks else None

    def is_still(self, now: float) -> bool:
        """Whether what the last `peek` saw is as it was, byte for byte, so that `before` holds."""
        return (
            self._usage_now == self._usage_text
            and self._disks_now == self._disks_text
            and now < self._waits_known_until
            and self._told is self.before
        )

    def read(self, now: float, unseen_seconds: float) -> Counters:
        """All counters: what the last `peek` saw, and the rest. Raises CgroupGoneError when the
        cgroup was gone then.

        Where nobody ran and nobody waits, that is taken to stay so for `unseen_seconds`: a wait
        begins by running. But for who is woken and gets no turn at all, or comes here from another
        cgroup while it waits: that is why it is looked up now and then.
        """
        text, before = self._usage_now, self.before
        if text is None and (self._cpu >= 0 or self._cpuacct >= 0):
            raise CgroupGoneError(self.path)
        usage = self._usage_in(text or b"")
        idle = before is not None and usage is not None and usage == before.cpu
        # Who did not run was not held back from running.
        throttled = before.throttled if before is not None and idle else None
        if throttled is None:
            throttled = self._read_throttled(text or b"")
        cpu_waiting, io_waiting = self._read_waiting()
        # In the round after somebody ran it is looked again: what began less than a tick ago shows
        # in no total yet (collect_percpu_times in the kernel's psi.c).
        nobody_waits = before is not None and (
            before.cpu_waiting == cpu_waiting is not None
            and before.io_waiting == io_waiting is not None
        )
        self._waits_known_until = now + unseen_seconds if idle and nobody_waits else 0.0
        on_disks = self._disks_in(self._disks_now)
        self._usage_text = text
        self._told = Counters(usage, throttled, cpu_waiting, io_waiting, on_disks)
        return self._told

    def _read_waiting(self) -> tuple[int | None, int | None]:
        """What tasks waited for the processor and for disks, in microseconds."""
        cpu_waiting = io_waiting = None
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
        return cpu_waiting, io_waiting

    def _usage_in(self, text: bytes) -> int | None:
        """Processor time in microseconds."""
        if self._cpu >= 0:
            return parse.field(text, parse.USAGE)
        nanoseconds = parse.number(text)
        return None if nanoseconds is None else nanoseconds // 1000

    def _read_throttled(self, of_cpu: bytes) -> int | None:
        """Microseconds: v2 tells them in cpu.stat, v1 in a file of its own."""
        if self._throttle < 0:
            return parse.field(of_cpu, parse.THROTTLED)
        try:
            nanoseconds = parse.field(pread(self._throttle, _FLAT_BYTES, 0), parse.THROTTLED_V1)
        except OSError:
            self._drop("_throttle")
            return None
        return None if nanoseconds is None else nanoseconds // 1000

    def _peek_disks(self) -> bytes | None:
        slot = "_io" if self._io >= 0 else "_transferred"
        descriptor = self._io if self._io >= 0 else self._transferred
        if descriptor < 0:
            return None
        try:
            return _whole(descriptor)
        except OSError:
            self._drop(slot)
            return None

    def _disks_in(self, text: bytes | None) -> dict[bytes, DiskCounters] | None:
        """The disks' counters; the very same dict as before when no byte of them changed."""
        if text == self._disks_text:
            return self._disks
        self._disks_text, self._disks = None, None
        if text is None:
            return None
        if self._io >= 0:
            self._disks = parse.io_stat(text)
        else:
            # Operations cannot change when bytes do not: the second file waits till then.
            try:
                serviced = _whole(self._serviced) if self._serviced >= 0 else b""
            except OSError:
                self._drop("_serviced")
                return None
            self._disks = parse.disks_of_v1(text, serviced)
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
