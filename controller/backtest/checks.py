"""Sample rows out of one record batch, checked: numbers that can be, names that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from controller.backtest.layout import FIGURE_COLUMNS, SAMPLE_COLUMNS, WAIT_COLUMNS, TraceError
from controller.backtest.tables import NAME, Table

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
HOST_ITSELF = -1
"""The tenant code of a row that holds the host's own figures."""

SAMPLE_TYPES: dict[str, pa.DataType] = {
    "time": pa.int64(),
    "host": NAME,
    "tenant": NAME,
} | dict.fromkeys(SAMPLE_COLUMNS[3:], pa.float64())


@dataclass(frozen=True, slots=True)
class Rows:
    """Sample rows as columns. `host` and `tenant` are codes; `row` is the place in the file."""

    time: Integers
    host: Codes
    tenant: Codes
    row: Integers
    seconds: Floats
    figures: tuple[Floats, ...]
    """In the order of FIGURE_COLUMNS; NaN where nothing was measured."""

    def __len__(self) -> int:
        return len(self.time)

    def take(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Rows:
        """These rows only, in this order."""
        return Rows(
            self.time[chosen],
            self.host[chosen],
            self.tenant[chosen],
            self.row[chosen],
            self.seconds[chosen],
            tuple(figure[chosen] for figure in self.figures),
        )

    def then(self, other: Rows) -> Rows:
        """These rows and those that follow."""
        if not len(self):
            return other
        figures = zip(self.figures, other.figures, strict=True)
        return Rows(
            np.concatenate((self.time, other.time)),
            np.concatenate((self.host, other.host)),
            np.concatenate((self.tenant, other.tenant)),
            np.concatenate((self.row, other.row)),
            np.concatenate((self.seconds, other.seconds)),
            tuple(np.concatenate(pair) for pair in figures),
        )


@dataclass(frozen=True, slots=True)
class Names:
    """The codes of hosts and tenants, and the weights by both codes together."""

    hosts: Sequence[str]
    tenants: Sequence[str]
    host_codes: dict[str, int]
    tenant_codes: dict[str, int]
    keys: Integers
    """Host code x number of tenants + tenant code, ascending: who is known where."""
    weights: Floats
    """In the order of `keys`."""

    @classmethod
    def of(cls, hosts: Sequence[str], weights: dict[tuple[str, str], float]) -> Names:
        """Codes follow the order of the names, so that rows in order of names are in order."""
        host_names = sorted(hosts)
        tenant_names = sorted({tenant for _, tenant in weights})
        host_codes = {name: code for code, name in enumerate(host_names)}
        tenant_codes = {name: code for code, name in enumerate(tenant_names)}
        by_key = sorted(
            (host_codes[host] * len(tenant_names) + tenant_codes[tenant], weight)
            for (host, tenant), weight in weights.items()
        )
        return cls(
            host_names,
            tenant_names,
            host_codes,
            tenant_codes,
            np.array([key for key, _ in by_key], dtype=np.int64),
            np.array([weight for _, weight in by_key], dtype=np.float64),
        )

    def places(self, host: Codes, tenant: Codes) -> npt.NDArray[np.intp]:
        """Where each pair stands in `keys`, -1 where the tenant is not known on that host."""
        if not len(self.keys):
            return np.full(len(host), -1, dtype=np.intp)
        key = host.astype(np.int64) * len(self.tenants) + tenant
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[place] == key, place, -1)


def checked_rows(batch: pa.RecordBatch, first_row: int, table: Table, names: Names) -> Rows:
    """The batch as columns; TraceError names the line of the first thing that is wrong in it."""
    time, host, tenant, seconds, *measured = batch.columns
    rows = Rows(
        time=_times(time, first_row, table),
        host=_codes(host, names.host_codes, "host", first_row, table),
        tenant=_codes(tenant, names.tenant_codes | {"": HOST_ITSELF}, "tenant", first_row, table),
        row=np.arange(first_row, first_row + len(batch), dtype=np.int64),
        seconds=seconds.to_numpy(zero_copy_only=False),
        figures=tuple(column.to_numpy(zero_copy_only=False) for column in measured),
    )
    wrong = ~((rows.seconds > 0) & (rows.seconds < np.inf))
    if wrong.any():
        _refuse(wrong, rows.seconds, "seconds", "a number above 0", first_row, table)
    for name, column, figure in zip(FIGURE_COLUMNS, measured, rows.figures, strict=True):
        _check_figure(name, column, figure, first_row, table)
    _check_tenancy(rows, names, first_row, table)
    return rows


def _times(column: pa.Array, first_row: int, table: Table) -> Integers:
    if column.null_count:
        missing = column.is_null().to_numpy(zero_copy_only=False)
        at = table.at(first_row + int(np.argmax(missing)))
        raise TraceError(f"{at}: time: expected whole seconds since the epoch, found nothing")
    times: Integers = column.to_numpy(zero_copy_only=False)
    return times


def _codes(
    column: pa.Array, codes: dict[str, int], kind: str, first_row: int, table: Table
) -> Codes:
    found = column.dictionary.to_pylist()
    by_place = np.array([codes.get(name, -2) for name in found] or [-2], dtype=np.int32)
    places = column.indices
    if places.null_count:  # only Parquet has names that are null: the same as an empty one
        places = places.fill_null(len(found))
        by_place = np.append(by_place, np.int32(codes.get("", -2)))
        found = [*found, ""]
    place = places.to_numpy(zero_copy_only=False)
    coded: Codes = by_place[place]
    if len(coded) and coded.min() == -2:
        index = int(np.argmax(coded == -2))
        raise TraceError(
            f"{table.at(first_row + index)}: {kind}: expected one of the {kind}s table, "
            f'found "{found[place[index]]}"'
        )
    return coded


def _check_figure(
    name: str, column: pa.Array, figure: Floats, first_row: int, table: Table
) -> None:
    highest = 1.0 if name in WAIT_COLUMNS else np.finfo(np.float64).max
    # Comparisons with NaN are false, so what is right is counted, with the cells left empty.
    right = np.count_nonzero((figure >= 0.0) & (figure <= highest))
    if right + column.null_count == len(figure):
        return
    wrong = ~((figure >= 0.0) & (figure <= highest))
    if column.null_count:
        wrong &= column.is_valid().to_numpy(zero_copy_only=False)
    expected = "a share from 0 to 1" if name in WAIT_COLUMNS else "a number of 0 or more"
    _refuse(wrong, figure, name, f"{expected}, or nothing", first_row, table)


def _check_tenancy(rows: Rows, names: Names, first_row: int, table: Table) -> None:
    stranger = (names.places(rows.host, rows.tenant) < 0) & (rows.tenant != HOST_ITSELF)
    if stranger.any():
        index = int(np.argmax(stranger))
        raise TraceError(
            f"{table.at(first_row + index)}: tenant: expected one that the tenants table has on "
            f'host "{names.hosts[rows.host[index]]}", '
            f'found "{names.tenants[rows.tenant[index]]}"'
        )


def _refuse(
    wrong: npt.NDArray[np.bool_],
    found: Floats,
    name: str,
    expected: str,
    first_row: int,
    table: Table,
) -> None:
    index = int(np.argmax(wrong))
    raise TraceError(
        f"{table.at(first_row + index)}: {name}: expected {expected}, found {found[index]}"
    )
