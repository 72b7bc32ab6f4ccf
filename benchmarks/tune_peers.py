"""Which settings serve each peer best on the machines and seeds that are for tuning.

    python -m benchmarks.tune_peers [--seeds 1 2]

Every combination is scored on all three sets together; the highest F1 (of precision, and recall
over the injected kinds) is told first. What peers.py has for defaults came from this. What a peer
is named for (half of a host, twice the entitlement) is not varied.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.histories import cases, read_histories
from benchmarks.labelled import MACHINES, labelled_traces, machines_of
from benchmarks.peers import (
    Badness,
    BusyShare,
    Peer,
    TwiceEntitled,
    VictimSuspect,
    WindowedAverage,
)
from benchmarks.scoring import Score, add_up, score
from benchmarks.verdicts import tenant_days
from controller.backtest.trace import Trace

DAYS, PER_KIND, TOLD = 31, 6, 3


def candidates() -> Iterator[Peer]:
    """Around the published settings, and on towards fewer and surer cases."""
    for utilisation, of_minutes in itertools.product((0.9, 0.95, 0.98), (10, 12, 15)):
        yield BusyShare(utilisation=utilisation, of_minutes=of_minutes)
    yield Badness()
    for factor, threshold, minutes in itertools.product((2, 4, 6), (0.8, 1.0), (20, 30, 60)):
        yield Badness(factor, threshold, minutes, 3 * minutes)
    for share, minutes in itertools.product((0.5, 0.6, 0.7, 0.8, 0.9), (10, 20, 30, 45)):
        yield WindowedAverage(share, minutes)
    for minutes in (20, 60, 120):
        yield TwiceEntitled(minutes=minutes)
    for correlation, spared, deviations in itertools.product(
        (0.35, 0.7, 0.85), (1.0, 2.0, 4.0), (2.0, 3.0)
    ):
        yield VictimSuspect(correlation, spared_up_to=spared, deviations=deviations)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tune the rules that others use.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    seeds = parser.parse_args().seeds
    if not MACHINES.is_dir():
        sys.exit(f"skipped: the recorded machines are not at {MACHINES}")
    machines, scores = machines_of("tuning"), defaultdict[Peer, list[Score]](list)
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            for labelled in labelled_traces(
                machines, seed, days=DAYS, per_kind=PER_KIND, directory=Path(folder)
            ):
                histories = read_histories(Trace.open(labelled.directory))
                for peer in candidates():
                    found = [one for host in histories for one in cases(host, peer.condition(host))]
                    scores[peer].append(score(found, labelled.labels, tenant_days(histories)))
    totals = {peer: add_up(several) for peer, several in scores.items()}
    for _, group in itertools.groupby(totals, key=type):
        for peer in sorted(group, key=lambda one: -totals[one].f1)[:TOLD]:
            total = totals[peer]
            print(f"F1 {total.f1:.3f} = {total.precision:.3f}, {total.recall:.3f}  {peer}")


if __name__ == "__main__":
    main()
