"""The journal: what stood in the kernel before us, on disk before the kernel is touched.

One line a record, each with its checksum, so that damage costs the damaged lines only. The file
is replaced whole (written beside, synced, renamed, the directory synced): after a crash there is
the old one or the new one. Whoever changes it holds the lock, so that `lift-all` and a running
limiter never write both.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from fairuse_agent.limiter.kernel.knobs import Fields, Knob
from fairuse_agent.limiter.leases import Lease
from fairuse_protocol.limits import Held

VERSION = 1


class _Header(msgspec.Struct, frozen=True, tag="journal", tag_field="record"):
    version: int
    boot_id: str


class _LeaseRecord(msgspec.Struct, frozen=True, tag="lease", tag_field="record"):
    lease: Lease


class Change(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="change", tag_field="record"
):
    """One knob that we turned or are about to turn, for one order.

    `before` is what stood there; `ours` are the states that we may have left it in: the newest
    last, and the one before it while a change is under way.
    """

    order: str
    tenant: str
    resource: Held
    knob: Knob
    before: Fields
    ours: tuple[Fields, ...]

    def recognises(self, found: Fields) -> bool:
        """True when nobody but us changed this knob since `before` was read."""
        known = (self.before, *self.ours)
        return all(
            any(state.get(name) == value for state in known) for name, value in found.items()
        )

    def restored(self, found: Fields) -> Fields:
        """How the knob should stand again, given how it stands: before, where it is ours still."""
        return {
            name: self.before[name]
            if any(state.get(name) == value for state in self.ours) and name in self.before
            else value
            for name, value in found.items()
        }


_record_decoder = msgspec.json.Decoder(_Header | _LeaseRecord | Change)


@dataclass
class Ledger:
    """The journal's content."""

    boot_id: str = ""
    leases: dict[str, Lease] = field(default_factory=dict)
    changes: dict[Knob, Change] = field(default_factory=dict)


class JournalBusy(Exception):
    """Another process holds the journal."""


class JournalError(Exception):
    """The journal cannot be used as it is. Says what to do."""


class Journal:
    """The file, and the lock beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_descriptor: int | None = None

    def __enter__(self) -> Self:
        self.lock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unlock()

    def lock(self) -> None:
        """Take the journal for this process, or raise JournalBusy."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise JournalBusy(f"{self.path} is held by another process") from error
        self._lock_descriptor = lock

    def unlock(self) -> None:
        """Let others take it. The kernel does the same when this process dies."""
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def load(self) -> tuple[Ledger, str | None]:
        """What is written, and what was wrong with it (None when nothing was).

        Damaged lines are left out and the file as found is kept beside, for a person to read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Ledger(), None
        ledger, damage = _parse(content)
        if not damage:
            return ledger, None
        kept = self.path.with_name(self.path.name + ".damaged")
        kept.write_bytes(content)
        return ledger, (
            f"{self.path}: {'; '.join(damage)}. The other lines were used. The file as found is"
            f" {kept}: look there for limits that may still stand (cpu.max or cpu.cfs_quota_us,"
            " io.max or blkio.throttle.*, `tc qdisc show`, `nft list tables`) and put back their"
            " `before` by hand"
        )

    def save(self, ledger: Ledger) -> None:
        """Make this the content, durably, before returning."""
        records = [
            _Header(version=VERSION, boot_id=ledger.boot_id),
            *(_LeaseRecord(lease=lease) for lease in ledger.leases.values()),
            *ledger.changes.values(),
        ]
        beside = self.path.with_name(self.path.name + ".new")
        with beside.open("wb") as file:
            file.write(b"".join(_line(record) for record in records))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _line(record: msgspec.Struct) -> bytes:
    body = msgspec.json.encode(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _parse(content: bytes) -> tuple[Ledger, list[str]]:
    ledger, damage = Ledger(), []
    lines = content.split(b"\n")
    if lines.pop():
        damage.append("the last line is cut off")
    for number, line in enumerate(lines, start=1):
        checksum, _, body = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(body):
            damage.append(f"line {number} does not match its checksum")
            continue
        try:
            record = _record_decoder.decode(body)
        except msgspec.DecodeError as error:
            damage.append(f"line {number} is not understood ({error})")
            continue
        if isinstance(record, Change):
            ledger.changes[record.knob] = record
        elif isinstance(record, _LeaseRecord):
            ledger.leases[record.lease.order] = record.lease
        elif record.version != VERSION:
            raise JournalError(
                f"journal version: this program knows {VERSION}, found {record.version}:"
                " use the program that wrote it to lift its limits"
            )
        else:
            ledger.boot_id = record.boot_id
    if content and not ledger.boot_id:
        damage.append("the first line, which names the boot, is missing")
    return ledger, damage
