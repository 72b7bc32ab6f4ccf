"""Reports that wait for the controller: in order, bounded, across restarts.

A report is in memory first and can be sent from there; `write_behind` puts it on disk a moment
later, off the event loop, so that a slow or full disk never holds up the sampling. Every start
of the agent begins a new series (`spool`): a sequence number can then never name two different
reports, whatever the disk forgot, with no fsync at all. Sequences go on above the highest that
waits, so the order of sending holds across series.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from fairuse_agent.reporting import spool_files
from fairuse_agent.reporting.spool_files import TornReportError, charge_of, name_of

MEMORY_LIMIT_BYTES = 8 * 10**6
"""For reports that the disk does not take: a small part of the 100 MB an agent may use."""

_log = logging.getLogger(__name__)


class SpoolError(Exception):
    """The spool's directory cannot be used. The text says why."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One report that was not acknowledged yet. `lost` is what it tells of reports before it."""

    spool: str
    sequence: int
    lost: int
    charge: int
    body: bytes | None
    path: Path | None
    in_flight: bool = False
    done: bool = False


class Spool:
    """The waiting reports, oldest first. All methods belong to the event loop's thread."""

    def __init__(
        self, directory: Path, limit_bytes: int, *, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    ) -> None:
        """Take over what waits in `directory`, or raise SpoolError."""
        self.spool = secrets.token_hex(8)
        self.next_sequence = 0
        self.lost = 0
        """Reports dropped that no report has told of yet."""
        self.disk_trouble = ""
        """Why reports stay in memory; empty while the disk takes them."""
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._memory_limit_bytes = memory_limit_bytes
        self._waiting: deque[Waiting] = deque()
        self._unwritten: deque[Waiting] = deque()
        self._doomed: list[Path] = []
        self._charge = 0
        self._arrived = asyncio.Event()
        self._disk_work = asyncio.Event()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(directory)
            self._take_over()
        except OSError as error:
            raise SpoolError(f"{directory}: the spool cannot be used: {error}") from error

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, body: bytes, *, lost: int) -> None:
        """Add the report numbered `next_sequence` of `spool`, which tells of `lost` others."""
        report = Waiting(self.spool, self.next_sequence, lost, charge_of(len(body)), body, None)
        self.next_sequence += 1
        self.lost -= lost
        self._waiting.append(report)
        self._unwritten.append(report)
        self._charge += report.charge
        self._drop_what_is_too_much()
        self._arrived.set()
        self._disk_work.set()

    async def oldest(self) -> tuple[Waiting, bytes]:
        """Wait for a report to send: it is not dropped until released, acknowledged or set
        aside."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            report = self._waiting[0]
            report.in_flight = True
            try:
                return report, await _body_of(report)
            except (TornReportError, OSError) as error:
                _log.warning("a waiting report is lost: %s", error)
                self.lost += 1 + report.lost
                self._remove(report)

    def release(self, report: Waiting) -> None:
        """It could not be sent: it waits on, and may be dropped when space is short."""
        report.in_flight = False

    def acknowledge(self, report: Waiting) -> None:
        """The controller has it."""
        self._remove(report)

    async def set_aside(self, report: Waiting, body: bytes) -> None:
        """The controller will never take it: keep it for a person, and go on with the next."""
        name = name_of(report.spool, report.sequence)
        try:
            await asyncio.to_thread(spool_files.set_aside, self._directory / "rejected", name, body)
        except OSError as error:
            _log.warning("the refused report %s could not be kept: %s", name, error)
        self._remove(report)

    async def write_behind(self) -> None:
        """Bring the disk to the state of memory, until cancelled."""
        while True:
            await self._disk_work.wait()
            self._disk_work.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write and remove what is due now. What the disk does not take stays in memory."""
        doomed, self._doomed = self._doomed, []
        if doomed:
            await asyncio.to_thread(_remove_files, doomed)
        while self._unwritten:
            report = self._unwritten[0]
            if not report.done and not await self._write(report):
                return
            self._unwritten.popleft()

    def close(self) -> None:
        """Let another agent have the directory."""
        os.close(self._lock)

    def _take_over(self) -> None:
        whole, torn = spool_files.scan(self._directory)
        for path in torn:
            _log.warning("%s is not a whole report: it is skipped and counted as lost", path)
        self.lost += len(torn)
        _remove_files(torn)
        for found in whole:
            self._waiting.append(
                Waiting(found.spool, found.sequence, found.lost, found.charge, None, found.path)
            )
            self._charge += found.charge
            self.next_sequence = found.sequence + 1
        self._drop_what_is_too_much()

    async def _write(self, report: Waiting) -> bool:
        """Write one report that is in memory; False when the disk does not take it."""
        path, body = self._directory / name_of(report.spool, report.sequence), report.body
        if body is None:
            return True
        try:
            await asyncio.to_thread(spool_files.write_report, path, body, report.lost)
        except OSError as error:
            if str(error) != self.disk_trouble:
                _log.error("reports are kept in memory, for the spool fails: %s", error)
            self.disk_trouble = str(error)
            return False
        if self.disk_trouble:
            _log.info("the spool's disk takes reports again")
        self.disk_trouble = ""
        if report.done:  # sent and acknowledged in the meantime
            await asyncio.to_thread(_remove_files, [path])
        else:
            report.path, report.body = path, None
        return True

    def _drop_what_is_too_much(self) -> None:
        """The oldest first, by the limit of the spool and by that of the memory."""
        while self._charge > self._limit_bytes and self._drop(self._waiting):
            pass
        while self._in_memory() > self._memory_limit_bytes and self._drop(self._unwritten):
            pass

    def _in_memory(self) -> int:
        return sum(report.charge for report in self._unwritten if not report.done)

    def _drop(self, candidates: deque[Waiting]) -> bool:
        """Drop the oldest that is not being sent; False when only the newest is left."""
        for report in candidates:
            if not report.in_flight and not report.done and report is not self._waiting[-1]:
                self.lost += 1 + report.lost
                self._remove(report)
                return True
        return False

    def _remove(self, report: Waiting) -> None:
        report.done, report.body = True, None
        self._waiting.remove(report)
        self._charge -= report.charge
        if report.path is not None:
            self._doomed.append(report.path)
        self._disk_work.set()


async def _body_of(report: Waiting) -> bytes:
    if report.body is not None:
        return report.body
    if report.path is None:
        raise TornReportError(f"report {report.sequence} is neither in memory nor on disk")
    return await asyncio.to_thread(spool_files.read_report, report.path)


def _remove_files(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be removed and will be sent again: %s", path, error)


def _lock(directory: Path) -> int:
    """Hold the directory for this process alone; the kernel lets go when the process ends."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpoolError(f"{directory}: another agent is using this spool") from error
    return descriptor
