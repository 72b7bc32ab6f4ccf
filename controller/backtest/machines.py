"""Machines of public traces: what each of them used, record by record."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from controller.backtest.layout import USE_COLUMNS, TraceError

RECORD_SECONDS = 300
"""Both traces have one record every five minutes."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One virtual machine. `begins` ascends; `used` is use column x record, NaN: not recorded."""

    name: str
    cores: float
    """The most that it had: what its owner paid for."""
    begins: npt.NDArray[np.int64]
    used: npt.NDArray[np.float64]


_BITBRAINS_COLUMNS = 11
_CORES, _CPU_PERCENT, _READ, _WRITTEN, _RECEIVED, _SENT = 1, 4, 7, 8, 9, 10
_BYTES_PER_KB = 1024


def read_bitbrains(directory: Path) -> Iterator[Machine]:
    """The machines of a folder of GWA-T-12 (Bitbrains) files, by name.

    Shen, van Beek, Iosup: Statistical Characterization of Business-Critical Workloads Hosted in
    Cloud Datacenters, CCGrid 2015. The header says milliseconds, but timestamps are seconds; a
    repeated timestamp is dropped; a record with 0 cores is a machine that was powered off. The
    trace tells no disk operations: each machine's mean request is taken as between 8 and 128 KB,
    drawn by its name.
    """
    for path in _files(directory, ("*.csv", "*.csv.gz")):
        records = _bitbrains_records(path)
        records = records[records[:, _CORES] > 0]
        if not len(records):
            continue
        begins, first = np.unique(records[:, 0].astype(np.int64), return_index=True)
        records = records[first]
        disk = (records[:, _READ] + records[:, _WRITTEN]) * _BYTES_PER_KB
        used = np.stack(
            (
                records[:, _CORES] * records[:, _CPU_PERCENT] / 100,
                disk,
                disk / _request_bytes(path.name),
                records[:, _RECEIVED] * _BYTES_PER_KB,
                records[:, _SENT] * _BYTES_PER_KB,
            )
        )
        name = f"vm{path.name.split('.')[0]}"
        yield Machine(name, float(records[:, _CORES].max()), begins, used)


def read_planetlab(directory: Path) -> Iterator[Machine]:
    """The machines of a folder of PlanetLab files as CloudSim publishes them, by name.

    Beloglazov, Buyya: Optimal Online Deterministic Algorithms and Adaptive Heuristics for Energy
    and Performance Efficient Dynamic Consolidation of Virtual Machines, CCPE 2012. A file is a
    machine: one whole CPU percentage of one core every five minutes, nothing else. Folders named
    by date (20110303) are days that begin at midnight UTC; other folders begin at the epoch.
    """
    days = sorted(path for path in directory.iterdir() if path.is_dir()) or [directory]
    for day in days:
        begin = _midnight(day.name)
        for path in _files(day, ("*",)):
            percent = _planetlab_percent(path)
            used = np.full((len(USE_COLUMNS), len(percent)), np.nan)
            used[0] = percent / 100
            begins = begin + RECORD_SECONDS * np.arange(len(percent), dtype=np.int64)
            name = path.name if len(days) == 1 else f"{day.name}-{path.name}"
            yield Machine(name, 1.0, begins, used)


def _bitbrains_records(path: Path) -> npt.NDArray[np.float64]:
    lines = _lines(path)[1:]
    for number, line in enumerate(lines, start=2):
        if line.count(";") != _BITBRAINS_COLUMNS - 1:
            raise TraceError(
                f"{path}:{number}: expected {_BITBRAINS_COLUMNS} numbers with ; between them, "
                f"found {line!r}"
            )
    try:
        cells = np.array(";".join(lines).split(";") if lines else [], dtype=np.float64)
    except ValueError as error:
        raise TraceError(f"{_where_no_number(path, lines)}: expected numbers: {error}") from error
    records = cells.reshape(-1, _BITBRAINS_COLUMNS)
    wrong = ~(np.isfinite(records) & (records >= 0)).all(axis=1)
    if wrong.any():
        number = int(np.argmax(wrong))
        raise TraceError(
            f"{path}:{number + 2}: expected numbers of 0 or more, found {lines[number]!r}"
        )
    return records


def _where_no_number(path: Path, lines: list[str]) -> str:
    for number, line in enumerate(lines, start=2):
        try:
            np.array(line.split(";"), dtype=np.float64)
        except ValueError:
            return f"{path}:{number}"
    return str(path)


def _planetlab_percent(path: Path) -> npt.NDArray[np.float64]:
    percent = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip().isdigit() or int(line) > 100:
            raise TraceError(
                f"{path}:{number}: expected a whole CPU percentage from 0 to 100, found {line!r}"
            )
        percent.append(int(line))
    return np.array(percent, dtype=np.float64)


def _lines(path: Path) -> list[str]:
    try:
        body = path.read_bytes()
        if path.suffix == ".gz":
            body = gzip.decompress(body)
        return body.decode().splitlines()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error


def _files(directory: Path, patterns: tuple[str, ...]) -> list[Path]:
    if not directory.is_dir():
        raise TraceError(f"{directory}: expected a folder with one file a machine, found none")
    found = sorted(path for pattern in patterns for path in directory.glob(pattern))
    if not found:
        raise TraceError(f"{directory}: expected one file a machine, found no {patterns[0]}")
    return [path for path in found if path.is_file()]


def _request_bytes(name: str) -> float:
    """By the name, so that it does not depend on which machines are imported with it."""
    drawn = np.random.default_rng(zlib.crc32(name.encode())).random()
    return float(8 * _BYTES_PER_KB * 16**drawn)


def _midnight(name: str) -> int:
    if not (len(name) == 8 and name.isdigit()):
        return 0
    day = np.datetime64(f"{name[:4]}-{name[4:6]}-{name[6:]}", "s")
    return int(day.astype(np.int64))
