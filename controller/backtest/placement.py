"""Machines of a public trace, placed on hosts: which tenant shares with whom, on what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from controller.backtest.demand import Demand
from controller.backtest.layout import USE_COLUMNS, HostCapacity
from controller.backtest.machines import RECORD_SECONDS, Machine

DEMAND_MET_SHARE = 0.995
"""Of all hosts' time, the part in which demand stays within a capacity that nobody gave: mostly
calm hosts, and a few hours a month in which one is short."""

_HOLD_SECONDS = 2 * RECORD_SECONDS
"""A record holds until the next; after this long without one, the machine was not there."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How machines are placed. All hosts are alike, as those bought together are."""

    seed: int = 1
    machines_per_host: int = 12
    interval_seconds: int = 60
    """Of the trace that comes out; a record is held constant for its five minutes."""
    days: float = math.inf
    """How much of the machines' time, from its beginning."""
    capacity: HostCapacity = field(default_factory=HostCapacity)
    """What every host can deliver; where None, so much that DEMAND_MET_SHARE holds."""


def place(machines: Sequence[Machine], placement: Placement) -> Demand:
    """Spread the machines over hosts at random (by seed), weighted by the cores that they have."""
    random = np.random.default_rng(placement.seed)
    hosts = math.ceil(len(machines) / placement.machines_per_host)
    digits = len(str(hosts))
    placed: list[tuple[str, Machine]] = []
    for number, group in enumerate(np.array_split(random.permutation(len(machines)), hosts), 1):
        on_host = sorted((machines[index] for index in group), key=lambda machine: machine.name)
        placed += [(f"h{number:0{digits}}", machine) for machine in on_host]
    ends = _ends(machines, placement)
    figures = np.full((len(USE_COLUMNS), len(ends), len(placed)), np.nan, dtype=np.float32)
    for column, (_, machine) in enumerate(placed):
        figures[:, :, column] = _held(machine, ends - placement.interval_seconds)
    capacity = _capacity(placement.capacity, figures, [host for host, _ in placed])
    return Demand(
        ends=ends,
        seconds=placement.interval_seconds,
        capacities=dict.fromkeys(dict.fromkeys(host for host, _ in placed), capacity),
        tenants=tuple((host, machine.name) for host, machine in placed),
        weights=np.array([machine.cores for _, machine in placed]),
        figures=figures,
    )


def _ends(machines: Sequence[Machine], placement: Placement) -> npt.NDArray[np.int64]:
    step = placement.interval_seconds
    first = min(int(machine.begins[0]) for machine in machines) // step * step
    last = max(int(machine.begins[-1]) for machine in machines) + RECORD_SECONDS
    last = int(min(last, first + placement.days * 86400))
    return np.arange(first + step, last + 1, step, dtype=np.int64)


def _held(machine: Machine, begins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    record = np.searchsorted(machine.begins, begins, side="right") - 1
    there = (record >= 0) & (begins - machine.begins[record] < _HOLD_SECONDS)
    return np.where(there, machine.used[:, record], np.nan)


def _capacity(
    given: HostCapacity, figures: npt.NDArray[np.float32], hosts: Sequence[str]
) -> HostCapacity:
    starts = [index for index, host in enumerate(hosts) if index == 0 or host != hosts[index - 1]]
    capacities = []
    for name, demand in zip(USE_COLUMNS, figures, strict=True):
        chosen = getattr(given, name)
        if chosen is None and not np.isnan(demand).all():
            totals = np.add.reduceat(np.nan_to_num(demand), starts, axis=1)
            chosen = _round_up(float(np.quantile(totals, DEMAND_MET_SHARE)), name)
        capacities.append(math.nan if chosen is None else chosen)
    return HostCapacity.of(tuple(capacities))


def _round_up(figure: float, name: str) -> float:
    """To whole cores, or to two figures: nobody's capacity is 23,456,789 bytes per second."""
    if name == "cpu_cores":
        return float(max(1, math.ceil(figure)))
    step = 10.0 ** (math.floor(math.log10(max(figure, 1.0))) - 1)
    return math.ceil(max(figure, 1.0) / step) * step
