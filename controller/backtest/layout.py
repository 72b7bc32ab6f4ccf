"""What a trace's folder holds: the names of its files and columns, and how bad ones are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

USE_COLUMNS = (
    "cpu_cores",
    "disk_bytes_per_second",
    "disk_ops_per_second",
    "net_in_bytes_per_second",
    "net_out_bytes_per_second",
)
"""Means over the interval. A host's capacities have the same names and units."""
WAIT_COLUMNS = ("cpu_wait", "io_wait", "net_wait")
"""Shares of the interval, 0 to 1."""
FIGURE_COLUMNS = (*USE_COLUMNS, *WAIT_COLUMNS)
SAMPLE_COLUMNS = ("time", "host", "tenant", "seconds", *FIGURE_COLUMNS)

SUFFIXES = (".csv", ".csv.gz", ".parquet")


class TraceError(Exception):
    """A trace cannot be used. The message says which file and line, what was expected and found."""


@dataclass(frozen=True, slots=True)
class HostCapacity:
    """What a host can deliver to its tenants; None where that is not known."""

    cpu_cores: float | None = None
    disk_bytes_per_second: float | None = None
    disk_ops_per_second: float | None = None
    net_in_bytes_per_second: float | None = None
    net_out_bytes_per_second: float | None = None

    def figures(self) -> tuple[float, ...]:
        """In the order of USE_COLUMNS, NaN where not known."""
        known = (getattr(self, column) for column in USE_COLUMNS)
        return tuple(math.nan if figure is None else figure for figure in known)

    @classmethod
    def of(cls, figures: tuple[float, ...]) -> HostCapacity:
        """From figures in the order of USE_COLUMNS, NaN where not known."""
        return cls(*(None if math.isnan(figure) else float(figure) for figure in figures))


def find_table(directory: Path, stem: str) -> Path:
    """The one file that holds this table; TraceError where there is none, or more than one."""
    found = [directory / f"{stem}{suffix}" for suffix in SUFFIXES]
    found = [path for path in found if path.is_file()]
    if len(found) == 1:
        return found[0]
    expected = f"{directory}: expected one of {', '.join(stem + suffix for suffix in SUFFIXES)}"
    if not found:
        raise TraceError(f"{expected}, found none")
    raise TraceError(
        f"{expected}, found {' and '.join(path.name for path in found)}; remove all but one"
    )
