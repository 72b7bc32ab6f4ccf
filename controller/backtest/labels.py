"""Labels: the stretches of time in which a tenant truly was, or may have been, disproportionate."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from controller.backtest.counterfactual import NEARLY, YES, Findings, find_causes
from controller.backtest.demand import Demand
from fairuse_protocol.messages import RESOURCES, Resource

SUSTAINED_SECONDS, NEARLY_SUSTAINED_SECONDS = 20 * 60, 10 * 60
"""What is over sooner than the first passes by itself; between the two, one may differ."""
PAUSE_SECONDS = 3 * 60
"""A pause no longer than this does not end a stretch."""
NATURAL = "natural"
"""The kind of what was in the trace before anything was injected."""

Answer = Literal["1", "0", "ambiguous"]
"""Disproportionate, innocent, or too near to the definition's edge to hold against a policy."""

COLUMNS = ("host", "tenant", "resource", "kind", "begin", "end", "disproportionate")


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One stretch of one tenant and resource; times are seconds since the epoch."""

    begin: int
    end: int
    host: str
    tenant: str
    resource: Resource
    kind: str
    answer: Answer


def label_demand(demand: Demand, when: slice = slice(None)) -> Iterator[list[Label]]:
    """Every tenant's stretches in these intervals, host by host, all as NATURAL."""
    for host in demand.capacities:
        yield label_host(demand, host, when)


def label_host(demand: Demand, host: str, when: slice = slice(None)) -> list[Label]:
    """Every stretch of one host's tenants in these intervals, as NATURAL."""
    load = demand.load(host, when)
    ends, names = demand.ends[when], demand.tenants[demand.columns(host)]
    labels = []
    for resource in RESOURCES:
        findings = find_causes(load, resource)
        for tenant in np.flatnonzero(findings.any(axis=0)):
            for begin, end, answer in stretches(findings[:, tenant], demand.seconds):
                labels.append(
                    Label(
                        begin=int(ends[begin]) - demand.seconds,
                        end=int(ends[end - 1]),
                        host=host,
                        tenant=names[tenant][1],
                        resource=resource,
                        kind=NATURAL,
                        answer=answer,
                    )
                )
    return labels


def stretches(findings: Findings, seconds: int) -> list[tuple[int, int, Answer]]:
    """Runs of one tenant's findings, as first interval, interval after the last, and answer.

    A run of YES that is sustained is disproportionate. What is left of a run of YES or NEARLY that
    is nearly sustained, before, between and after those, is ambiguous.
    """
    certain = _runs(findings == YES, seconds, SUSTAINED_SECONDS)
    found: list[tuple[int, int, Answer]] = [(begin, end, "1") for begin, end in certain]
    for begin, end in _runs(findings >= NEARLY, seconds, NEARLY_SUSTAINED_SECONDS):
        at = begin
        for sure_begin, sure_end in [run for run in certain if begin <= run[0] < end]:
            found.append((at, sure_begin, "ambiguous"))
            at = sure_end
        found.append((at, end, "ambiguous"))
    return sorted((begin, end, answer) for begin, end, answer in found if begin < end)


def _runs(
    holds: npt.NDArray[np.bool_], seconds: int, least_seconds: float
) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], holds.astype(np.int8), [0]))))
    joined: list[tuple[int, int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if joined and (begin - joined[-1][1]) * seconds <= PAUSE_SECONDS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [(begin, end) for begin, end in joined if (end - begin) * seconds >= least_seconds]


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write labels.csv, in order of time."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for label in sorted(labels):
            writer.writerow(
                (
                    label.host,
                    label.tenant,
                    label.resource,
                    label.kind,
                    label.begin,
                    label.end,
                    label.answer,
                )
            )


def read_labels(path: Path) -> list[Label]:
    """Read labels.csv as `write_labels` wrote it."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Label(
                begin=int(row["begin"]),
                end=int(row["end"]),
                host=row["host"],
                tenant=row["tenant"],
                resource=row["resource"],  # type: ignore[arg-type]  # written from a Resource
                kind=row["kind"],
                answer=row["disproportionate"],  # type: ignore[arg-type]  # written from an Answer
            )
            for row in csv.DictReader(file)
        ]
