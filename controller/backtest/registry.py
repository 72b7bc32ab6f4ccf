"""The two small tables of a trace: what each host can deliver, and who shares it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from controller.backtest.layout import USE_COLUMNS, HostCapacity, TraceError, find_table
from controller.backtest.tables import Table

Weights = Mapping[tuple[str, str], float]
"""Host and tenant: what the tenant is entitled to there, relative to its neighbours."""

_HOST_TYPES: dict[str, pa.DataType] = {"host": pa.string()} | dict.fromkeys(
    USE_COLUMNS, pa.float64()
)
_TENANT_TYPES: dict[str, pa.DataType] = {
    "host": pa.string(),
    "tenant": pa.string(),
    "weight": pa.float64(),
}


def read_hosts(directory: Path, stem: str = "hosts") -> dict[str, HostCapacity]:
    """The capacities of every host; TraceError names the line of what is wrong."""
    table = Table(find_table(directory, stem), _HOST_TYPES)
    hosts: dict[str, HostCapacity] = {}
    for where, row in _rows(table):
        name = _name(row, "host", where)
        if name in hosts:
            raise TraceError(f'{where}: expected each host once, found "{name}" again')
        for column in USE_COLUMNS:
            if row[column] is not None and not 0 < row[column] < math.inf:
                raise TraceError(
                    f"{where}: {column}: expected a number above 0, or nothing where the capacity "
                    f"is not known, found {row[column]}"
                )
        hosts[name] = HostCapacity(**{column: row[column] for column in USE_COLUMNS})
    return hosts


def read_tenants(
    directory: Path, hosts: Mapping[str, HostCapacity]
) -> dict[tuple[str, str], float]:
    """The weight of every tenant on every host; TraceError names the line of what is wrong."""
    table = Table(find_table(directory, "tenants"), _TENANT_TYPES)
    weights: dict[tuple[str, str], float] = {}
    for where, row in _rows(table):
        host, tenant, weight = _name(row, "host", where), _name(row, "tenant", where), row["weight"]
        if host not in hosts:
            raise TraceError(f'{where}: host: expected one of the hosts table, found "{host}"')
        if (host, tenant) in weights:
            raise TraceError(
                f'{where}: expected each tenant of a host once, found "{tenant}" again'
            )
        if weight is None or not 0 < weight < math.inf:
            raise TraceError(f"{where}: weight: expected a number above 0, found {weight}")
        weights[host, tenant] = weight
    return weights


def write_hosts(path: Path, hosts: Mapping[str, HostCapacity]) -> None:
    """Write capacities as CSV, an empty cell where one is not known."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HOST_TYPES)
        for host, capacity in sorted(hosts.items()):
            writer.writerow([host, *(_cell(figure) for figure in capacity.figures())])


def write_tenants(path: Path, weights: Weights) -> None:
    """Write weights as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_TENANT_TYPES)
        for (host, tenant), weight in sorted(weights.items()):
            writer.writerow([host, tenant, _cell(weight)])


def _cell(figure: float) -> str:
    return "" if math.isnan(figure) else repr(float(figure)).removesuffix(".0")


def _rows(table: Table) -> list[tuple[str, dict[str, Any]]]:
    rows: list[tuple[str, dict[str, Any]]] = []
    for batch in table.batches():
        rows += [(table.at(len(rows) + index), row) for index, row in enumerate(batch.to_pylist())]
    return rows


def _name(row: Mapping[str, Any], column: str, where: str) -> str:
    if not row[column]:
        raise TraceError(f"{where}: {column}: expected a name, found nothing")
    return str(row[column])
