"""Labelled traces out of recorded machines: tuned on one half of them, reported on the other.

The machines are those of GWA-T-12 (Bitbrains "Rnd", July 2013). By number, every other one
belongs to the half that settings were tuned on; reports are made on the rest alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controller.backtest.demand import Demand, write_trace
from controller.backtest.episodes import KINDS
from controller.backtest.injecting import Injector, misrecord, name_labels
from controller.backtest.labels import Label, label_demand
from controller.backtest.machines import Machine, read_bitbrains
from controller.backtest.placement import Placement, place
from controller.backtest.registry import write_hosts

MACHINES = Path(__file__).parents[1].parent / "shared" / "data" / "bitbrains-rnd-2013-07"

Half = Literal["tuning", "report"]
SETS = ("ordinary", "ordinary, capacities off by 25 % and a third missing", "hard")
CAPACITY_ERROR, CAPACITY_MISSING = 0.25, 1 / 3
"""Of disks and uplinks, in the second set: how far off at most, and the part left out."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A trace on disk, and what is true of it."""

    name: str
    """One of SETS."""
    seed: int
    directory: Path
    labels: Sequence[Label]


def machines_of(half: Half, directory: Path = MACHINES) -> list[Machine]:
    """Every other machine by its number: the first, the third and so on are for reports."""
    numbers = sorted(int(path.name.split(".")[0]) for path in directory.glob("*.csv.gz"))
    chosen = {f"vm{number}" for number in numbers[0 if half == "report" else 1 :: 2]}
    return [machine for machine in read_bitbrains(directory) if machine.name in chosen]


def labelled_traces(
    machines: Sequence[Machine], seed: int, *, days: float, per_kind: int, directory: Path
) -> Iterator[Labelled]:
    """One trace of each of SETS, made in this folder; each is gone when the next one is asked for.

    The first two are the same but for the capacities that hosts.csv states.
    """
    demand = place(machines, Placement(seed=seed, days=days))
    labels = _write(demand, "ordinary", seed, per_kind, directory)
    yield Labelled(SETS[0], seed, directory, labels)
    recorded = misrecord(
        demand.capacities, error=CAPACITY_ERROR, missing=CAPACITY_MISSING, seed=seed
    )
    write_hosts(directory / "hosts.csv", recorded)
    yield Labelled(SETS[1], seed, directory, labels)
    labels = _write(demand, "hard", seed, per_kind, directory)
    yield Labelled(SETS[2], seed, directory, labels)


def _write(
    demand: Demand, within: str, seed: int, per_kind: int, directory: Path
) -> Sequence[Label]:
    injector = Injector(demand, seed)
    for _ in injector.inject([kind for kind in KINDS if kind.within == within], per_kind):
        pass
    injected = injector.result()
    for _ in write_trace(
        injected.demand,
        directory,
        "parquet",
        recorded=injected.demand.capacities,
        extra_waits=injected.extra_waits,
    ):
        pass
    found = [label for host in label_demand(injected.demand) for label in host]
    return name_labels(found, injected.episodes)
