"""A trace: what tenants used on shared hosts, read in bounded memory as whole intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from controller.backtest.checks import SAMPLE_TYPES, Names, checked_rows
from controller.backtest.gathering import Gatherer
from controller.backtest.intervals import IntervalBatch, interval_batch
from controller.backtest.layout import HostCapacity, find_table
from controller.backtest.registry import read_hosts, read_tenants
from controller.backtest.tables import Table


@dataclass(slots=True)
class Trace:
    """One trace. The small tables are in memory; the samples are read anew by `intervals`."""

    hosts: dict[str, HostCapacity]
    weights: dict[tuple[str, str], float]
    """By host and tenant."""
    samples: Path
    names: Names = field(repr=False)
    in_time_order: bool = True
    """Whether the samples read so far were in order of time over all hosts together."""

    @classmethod
    def open(cls, path: Path) -> Trace:
        """Read the small tables and find the samples; TraceError where one is missing or wrong."""
        return cls._open(path, hosts_stem="hosts", samples_stem="samples")

    @classmethod
    def open_demand(cls, path: Path) -> Trace:
        """What an imported trace's tenants asked for, on hosts of their true capacity."""
        return cls._open(path, hosts_stem="truth", samples_stem="demand")

    @classmethod
    def _open(cls, path: Path, *, hosts_stem: str, samples_stem: str) -> Trace:
        hosts = read_hosts(path, hosts_stem)
        weights = read_tenants(path, hosts)
        samples = find_table(path, samples_stem)
        return cls(hosts, weights, samples, Names.of(list(hosts), weights))

    @property
    def host_names(self) -> list[str]:
        """What a batch's host codes stand for."""
        return list(self.names.hosts)

    @property
    def tenant_names(self) -> list[str]:
        """What a batch's tenant codes stand for."""
        return list(self.names.tenants)

    def intervals(self) -> Iterator[IntervalBatch]:
        """Every interval, whole, in batches; TraceError names the line of what is wrong.

        Intervals of one host come in order of time. Where the file is in order of time, so are
        all intervals over all batches; where it is not (`in_time_order` turns False), an
        interval comes once its host's next one has begun, and is in order of time within its
        batch only.
        """
        self.in_time_order = True
        table = Table(self.samples, SAMPLE_TYPES)
        gatherer = Gatherer(table, self.names)
        first_row = 0
        for batch in table.batches():
            rows = checked_rows(batch, first_row, table, self.names)
            first_row += len(rows)
            whole = gatherer.add(rows)
            self.in_time_order = gatherer.in_time_order
            if len(whole):
                yield interval_batch(whole, self.names)
        rest = gatherer.rest()
        if len(rest):
            yield interval_batch(rest, self.names)
