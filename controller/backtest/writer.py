"""Writing a trace: the small tables, and the samples as they come."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from controller.backtest.checks import SAMPLE_TYPES, Floats, Integers
from controller.backtest.layout import FIGURE_COLUMNS, SAMPLE_COLUMNS, WAIT_COLUMNS, HostCapacity
from controller.backtest.registry import Weights, write_hosts, write_tenants

Form = Literal["csv.gz", "parquet"]

_DECIMALS = {
    **dict.fromkeys(FIGURE_COLUMNS, 1),
    **dict.fromkeys(WAIT_COLUMNS, 4),
    "cpu_cores": 4,
    "disk_ops_per_second": 2,
}
"""A tenth of a byte per second and a ten-thousandth of a core or of the time: below any noise."""
_SCHEMA = pa.schema(SAMPLE_TYPES.items())
_PLAIN_SCHEMA = pa.schema(
    (name, pa.string() if name in ("host", "tenant") else kind)
    for name, kind in SAMPLE_TYPES.items()
)
_QUOTED = frozenset(',"\r\n')


class TraceWriter:
    """Writes one trace into a folder, in order of time, host and tenant. A context manager."""

    def __init__(
        self, directory: Path, hosts: Mapping[str, HostCapacity], weights: Weights, form: Form
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        write_hosts(directory / "hosts.csv", hosts)
        write_tenants(directory / "tenants.csv", weights)
        self._samples = SampleWriter(directory, "samples", form)

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._samples.close()

    def write(self, rows: Mapping[str, Any]) -> None:
        """Add rows; see SampleWriter.write."""
        self._samples.write(rows)


class SampleWriter:
    """Writes one file of samples, named by its stem and form."""

    def __init__(self, directory: Path, stem: str, form: Form) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for old in ("csv", "csv.gz", "parquet"):
            (directory / f"{stem}.{old}").unlink(missing_ok=True)
        path = directory / f"{stem}.{form}"
        self._last_time: int | None = None
        self._files = contextlib.ExitStack()
        if form == "parquet":
            self._parquet = self._files.enter_context(pyarrow.parquet.ParquetWriter(path, _SCHEMA))
            self._csv = None
        else:
            self._csv = self._files.enter_context(pa.output_stream(str(path), compression="gzip"))
            self._csv.write((",".join(SAMPLE_COLUMNS) + "\n").encode())

    def write(self, rows: Mapping[str, Any]) -> None:
        """Add rows, given as a column (array or list) for every name in SAMPLE_COLUMNS.

        They are put in order of time, host and tenant; ValueError where they begin before the
        rows of the last call ended. NaN is written as an empty cell.
        """
        time: Integers = np.asarray(rows["time"], dtype=np.int64)
        if not len(time):
            return
        host, tenant = _Names(rows["host"]), _Names(rows["tenant"])
        order = np.lexsort((tenant.rank, host.rank, time))
        if self._last_time is not None and time[order[0]] < self._last_time:
            raise ValueError(
                f"expected rows from time {self._last_time} on, found {time[order[0]]}"
            )
        self._last_time = int(time[order[-1]])
        columns = [pa.array(time[order]), host.column(order), tenant.column(order)]
        columns.append(_column(np.asarray(rows["seconds"], dtype=np.float64)[order], 3))
        for name in FIGURE_COLUMNS:
            figure = np.asarray(rows[name], dtype=np.float64)
            columns.append(_column(figure[order], _DECIMALS[name]))
        self._append(pa.table(columns, schema=_SCHEMA))

    def _append(self, table: pa.Table) -> None:
        if self._csv is None:
            self._parquet.write_table(table)
            return
        names = table["host"].chunk(0).dictionary.to_pylist()
        names += table["tenant"].chunk(0).dictionary.to_pylist()
        quoting = "needed" if any(_QUOTED & set(name) for name in names) else "none"
        plain = table.cast(_PLAIN_SCHEMA)
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style=quoting)
        pyarrow.csv.write_csv(plain, self._csv, options)

    def close(self) -> None:
        """End the file."""
        self._files.close()


class _Names:
    """A column of names, and each one's place in their order."""

    def __init__(self, given: Any) -> None:
        encoded = pa.array(given, type=pa.string()).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        rank_of = {name: rank for rank, name in enumerate(sorted(names))}
        ranks = np.array([rank_of[name] for name in names], dtype=np.int32)
        self._encoded = encoded
        self.rank = ranks[encoded.indices.to_numpy()]

    def column(self, order: npt.NDArray[np.intp]) -> pa.Array:
        """The names in this order."""
        return self._encoded.take(pa.array(order))


def _column(figures: Floats, decimals: int) -> pa.Array:
    rounded: npt.NDArray[np.float64] = np.round(figures, decimals)
    return pa.array(rounded, from_pandas=True)
