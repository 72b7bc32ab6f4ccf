"""Small traces for tests, written as text so that a test shows what is in the file."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from controller.backtest.checks import SAMPLE_TYPES
from controller.backtest.layout import SAMPLE_COLUMNS, USE_COLUMNS

Row = tuple[int, str, str, float]
"""Time, host, tenant, cores."""

HEADER = ",".join(SAMPLE_COLUMNS)


def line(row: Row, seconds: str = "60") -> str:
    time, host, tenant, cores = row
    return f"{time},{host},{tenant},{seconds},{cores},1,2,3,4,0.25,0.5,"


def write(
    directory: Path, lines: Sequence[str], *, header: str = HEADER, name: str = "samples.csv"
) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "hosts.csv").write_text(
        "host," + ",".join(USE_COLUMNS) + "\nh1,8,1e8,,,\nh2,16,,,,\n"
    )
    (directory / "tenants.csv").write_text("host,tenant,weight\nh1,a,1\nh1,b,2\nh2,a,3\nh2,c,4.5\n")
    text = "\n".join([header, *lines]) + "\n"
    if name.endswith(".gz"):
        (directory / name).write_bytes(gzip.compress(text.encode()))
    elif name.endswith(".parquet"):
        rows = [entry.split(",") for entry in lines]
        cells = dict(zip(header.split(","), zip(*rows, strict=True), strict=True))
        table = pa.table(
            {
                column: pa.array(
                    [_cell(cell, SAMPLE_TYPES[column]) for cell in cells[column]],
                    type=pa.string() if column in ("host", "tenant") else SAMPLE_TYPES[column],
                )
                for column in cells
            }
        )
        pyarrow.parquet.write_table(table, directory / name)
    else:
        (directory / name).write_text(text)
    return directory


def _cell(cell: str, kind: pa.DataType) -> int | float | str | None:
    if kind == pa.int64():
        return int(cell)
    if kind == pa.float64():
        return float(cell) if cell else None
    return cell
