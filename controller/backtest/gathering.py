"""Whole intervals out of rows that come in any order that keeps each host's time in order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from controller.backtest.checks import HOST_ITSELF, Integers, Names, Rows
from controller.backtest.layout import FIGURE_COLUMNS, TraceError
from controller.backtest.tables import Table

_NEVER = np.iinfo(np.int64).min


class Gatherer:
    """Holds back the rows of intervals that may not be whole yet.

    As long as the file is in order of time, an interval is whole when any later time appears.
    From the first step back on, only a later time of the same host says so. At most one interval
    a host is held back, so memory is bounded by the number of tenants.
    """

    def __init__(self, table: Table, names: Names) -> None:
        self._table = table
        self._names = names
        self._held = _no_rows()
        self._newest = _NEVER
        self._closed_until: Integers = np.full(len(names.hosts), _NEVER, dtype=np.int64)
        self.in_time_order = True

    def add(self, rows: Rows) -> Rows:
        """The rows of all intervals that these rows make whole, by time, host and tenant."""
        if not len(rows):
            return rows
        self._check_closed(rows)
        if self.in_time_order:
            steps = np.diff(rows.time)
            self.in_time_order = bool(rows.time[0] >= self._newest and (steps >= 0).all())
        self._newest = max(self._newest, int(rows.time.max()))
        held = self._held.then(rows)
        if self.in_time_order:
            whole = held.time < self._newest
        else:
            whole = held.time < self._latest_by_host(held)[held.host]
        self._held = held.take(~whole)
        return self._in_order(held.take(whole))

    def rest(self) -> Rows:
        """What the end of the file makes whole."""
        held, self._held = self._held, _no_rows()
        return self._in_order(held)

    def _check_closed(self, rows: Rows) -> None:
        late = rows.time <= self._closed_until[rows.host]
        if late.any():
            index = int(np.argmax(late))
            self._refuse_order(rows, index, int(self._closed_until[rows.host[index]]))

    def _latest_by_host(self, rows: Rows) -> Integers:
        """Each host's latest time; refuses a host whose rows step back in time."""
        by_host = np.argsort(rows.host, kind="stable")
        host, time = rows.host[by_host], rows.time[by_host]
        same_host = host[1:] == host[:-1]
        back = same_host & (time[1:] < time[:-1])
        if back.any():
            # The step that comes first in the file, so that the message does not depend on names.
            index = min(np.flatnonzero(back) + 1, key=lambda found: by_host[found])
            self._refuse_order(rows, int(by_host[index]), int(time[index - 1]))
        latest = np.full(len(self._names.hosts), _NEVER, dtype=np.int64)
        last = np.append(~same_host, True)
        latest[host[last]] = time[last]
        return latest

    def _refuse_order(self, rows: Rows, index: int, before: int) -> None:
        raise TraceError(
            f"{self._table.at(int(rows.row[index]))}: expected the rows of host "
            f'"{self._names.hosts[rows.host[index]]}" in order of time, and those of one interval '
            f"together, found time {rows.time[index]} after the interval of {before} had ended; "
            "sort the rows by time"
        )

    def _in_order(self, rows: Rows) -> Rows:
        if not len(rows):
            return rows
        # Codes are far below 2**31, so this key is exact and one comparison orders all three.
        key = rows.host.astype(np.int64) * (len(self._names.tenants) + 1) + (rows.tenant + 1)
        if not _ascending(rows.time, key):
            order = np.lexsort((rows.row, key, rows.time))
            rows, key = rows.take(order), key[order]
            self._check_repeats(rows, key)
        np.maximum.at(self._closed_until, rows.host, rows.time)
        return rows

    def _check_repeats(self, rows: Rows, key: Integers) -> None:
        repeated = (key[1:] == key[:-1]) & (rows.time[1:] == rows.time[:-1])
        if repeated.any():
            index = int(np.argmax(repeated)) + 1
            tenant = rows.tenant[index]
            whose = (
                "the host's own row"
                if tenant == HOST_ITSELF
                else f'tenant "{self._names.tenants[tenant]}"'
            )
            raise TraceError(
                f"{self._table.at(int(rows.row[index]))}: expected one row for a time, host and "
                f"tenant, found {whose} again at time {rows.time[index]} on host "
                f'"{self._names.hosts[rows.host[index]]}"; the first is at '
                f"{self._table.at(int(rows.row[index - 1]))}"
            )


def _ascending(time: Integers, key: Integers) -> bool:
    later = time[1:] > time[:-1]
    return bool((later | ((time[1:] == time[:-1]) & (key[1:] > key[:-1]))).all())


def _no_rows() -> Rows:
    nothing: npt.NDArray[np.float64] = np.empty(0)
    return Rows(
        time=np.empty(0, dtype=np.int64),
        host=np.empty(0, dtype=np.int32),
        tenant=np.empty(0, dtype=np.int32),
        row=np.empty(0, dtype=np.int64),
        seconds=nothing,
        figures=tuple(nothing for _ in FIGURE_COLUMNS),
    )
