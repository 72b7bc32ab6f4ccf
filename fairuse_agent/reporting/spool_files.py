"""Reports as files: one each, so that a torn one costs nothing but itself.

Nothing here calls fsync. A waiting report has not been acknowledged, so nobody relies on it yet;
kill -9 loses nothing that was written, and a power cut costs the last seconds, in which the host
was about to stop anyway. What a power cut tears is told by length and checksum, and skipped.
Names carry the sequence first, so that their order is the order of sending.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"FUR1"
_HEADER = struct.Struct(">4sIII")  # magic, CRC-32 of the body, reports lost before, body's length
_NAME = re.compile(r"(?P<sequence>\d{16})-(?P<spool>[0-9a-f]{16})\.report")
_BLOCK_BYTES = 4096
REJECTED_LIMIT_BYTES = 4 * 10**6
"""Reports that the controller refused for good are kept for a person to look at, newest last."""

_log = logging.getLogger(__name__)


class TornReportError(Exception):
    """A file is not a whole report. The text says which and how it shows."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One whole report found on disk."""

    path: Path
    spool: str
    sequence: int
    lost: int
    charge: int


def name_of(spool: str, sequence: int) -> str:
    """The file's name of one report."""
    return f"{sequence:016d}-{spool}.report"


def charge_of(body_bytes: int) -> int:
    """What a report of this length takes on a disk: whole blocks."""
    return -(-(body_bytes + _HEADER.size) // _BLOCK_BYTES) * _BLOCK_BYTES


def write_report(path: Path, body: bytes, lost: int) -> None:
    """Write one report file, or raise OSError and leave none."""
    header = _HEADER.pack(_MAGIC, zlib.crc32(body), lost, len(body))
    try:
        path.write_bytes(header + body)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            path.unlink(missing_ok=True)
        raise


def read_report(path: Path) -> bytes:
    """The body, or raise TornReportError or OSError."""
    content = path.read_bytes()
    _, checksum, _, length = _unpack(path, content)
    body = content[_HEADER.size :]
    if len(body) != length or zlib.crc32(body) != checksum:
        raise TornReportError(
            f"{path}: expected {length} bytes that fit their checksum, found {len(body)}"
        )
    return body


def scan(directory: Path) -> tuple[list[StoredReport], list[Path]]:
    """The whole reports by sequence, and the files that are none. Looks at headers only.

    What cannot be read is logged, left where it is for a person to look at, and in neither list.
    """
    whole, torn = [], []
    for path in directory.glob("*.report"):
        match = _NAME.fullmatch(path.name)
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
                _log.error("%s is not a file: it is skipped and left; remove it", path)
                continue
            with path.open("rb") as file:
                _, _, lost, length = _unpack(path, file.read(_HEADER.size))
                size = os.fstat(file.fileno()).st_size
        except TornReportError:
            torn.append(path)
            continue
        except OSError as error:
            _log.error("a waiting report cannot be read: it is skipped and left: %s", error)
            continue
        if match is None or size != _HEADER.size + length:
            torn.append(path)
            continue
        sequence = int(match["sequence"])
        whole.append(StoredReport(path, match["spool"], sequence, lost, charge_of(length)))
    return sorted(whole, key=lambda report: report.sequence), torn


def set_aside(directory: Path, name: str, body: bytes) -> None:
    """Keep a refused report's body in `directory`; the oldest go when there is too much."""
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / name).write_bytes(body)
    kept = sorted(directory.iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    total = sum(path.stat().st_size for path in kept)
    for path in kept[:-1]:
        if total <= REJECTED_LIMIT_BYTES:
            return
        total -= path.stat().st_size
        path.unlink()


def _unpack(path: Path, content: bytes) -> tuple[bytes, int, int, int]:
    if len(content) < _HEADER.size or not content.startswith(_MAGIC):
        raise TornReportError(f"{path}: expected a report's header, found {len(content)} bytes")
    magic, checksum, lost, length = _HEADER.unpack_from(content)
    return magic, checksum, lost, length
