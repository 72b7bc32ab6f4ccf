"""Reading a trace's tables (CSV, gzipped CSV, Parquet) as typed record batches.

Everything comes in bounded memory and from one thread: a replay shares its core with nobody, and
its speed is stated per core.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from controller.backtest.layout import TraceError

NAME = pa.dictionary(pa.int32(), pa.string())
"""Hosts and tenants: few names in many rows."""

_CSV_BLOCK_BYTES = 2**20
_PARQUET_BATCH_ROWS = 65_536
_ARROW_REASON = re.compile(
    r"(?:In CSV column #(?P<column>\d+): )?(?:CSV parse error: )?Row #(?P<row>\d+): (?P<reason>.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Table:
    """One file, and how its rows are called in errors."""

    path: Path
    types: Mapping[str, pa.DataType]

    @property
    def is_parquet(self) -> bool:
        """Parquet files have rows; all others have lines."""
        return self.path.suffix == ".parquet"

    def at(self, row: int) -> str:
        """Where the row with this index (the first is 0) stands, as an error begins."""
        return f"{self.path}: row {row + 1}" if self.is_parquet else f"{self.path}:{row + 2}"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, in batches with exactly these columns in this order, all typed."""
        try:
            reader = self._parquet() if self.is_parquet else self._csv()
            yield from reader
        except (pa.ArrowInvalid, OSError, EOFError) as error:
            raise TraceError(self._explain(str(error))) from error

    def _csv(self) -> Iterator[pa.RecordBatch]:
        columns = self._csv_header()
        with pa.input_stream(str(self.path), compression=self._compression) as stream:
            reader = pyarrow.csv.open_csv(
                stream,
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=_CSV_BLOCK_BYTES
                ),
                # An ignored line would shift the line numbers of all errors after it.
                parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict(self.types),
                    include_columns=list(self.types),
                    # Only an empty cell means "not measured"; "NaN" is a bad figure.
                    null_values=[""],
                    strings_can_be_null=False,
                ),
            )
            self._check_columns(columns)
            yield from reader

    @property
    def _compression(self) -> str | None:
        return "gzip" if self.path.suffix == ".gz" else None

    def _csv_header(self) -> Sequence[str]:
        with pa.input_stream(str(self.path), compression=self._compression) as stream:
            first = stream.read(65_536).split(b"\n", 1)[0]
        header = first.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
        columns = [column.strip('"') for column in header.rstrip("\r").split(",")]
        self._check_columns(columns)
        return columns

    def _parquet(self) -> Iterator[pa.RecordBatch]:
        with pyarrow.parquet.ParquetFile(self.path, pre_buffer=False) as file:
            self._check_columns(file.schema_arrow.names)
            for batch in file.iter_batches(_PARQUET_BATCH_ROWS, use_threads=False):
                arrays = [
                    _as_type(batch.column(name), wanted, name)
                    for name, wanted in self.types.items()
                ]
                yield pa.RecordBatch.from_arrays(arrays, names=list(self.types))

    def _check_columns(self, found: Sequence[str]) -> None:
        where = f"{self.path}: its columns" if self.is_parquet else f"{self.path}:1"
        if len(set(found)) != len(found):
            raise TraceError(f"{where}: expected each column once, found {','.join(found)}")
        if set(found) != set(self.types):
            missing = ", ".join(name for name in self.types if name not in found) or "none"
            unknown = ", ".join(name for name in found if name not in self.types) or "none"
            raise TraceError(
                f"{where}: expected the columns {','.join(self.types)}; "
                f"missing: {missing}; unknown: {unknown}"
            )

    def _explain(self, reason: str) -> str:
        located = _ARROW_REASON.match(reason)
        if not located:
            return f"{self.path}: cannot be read: {reason}"
        column = f"{list(self.types)[int(located['column'])]}: " if located["column"] else ""
        return f"{self.path}:{located['row']}: {column}{located['reason']}"


def _as_type(column: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    if column.type == wanted:
        return column
    try:
        if wanted == NAME:
            return column.cast(pa.string()).dictionary_encode()
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise pa.ArrowInvalid(f"{name}: expected {wanted}, found {column.type}: {error}") from error
