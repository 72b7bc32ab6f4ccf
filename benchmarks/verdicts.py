"""How right the rule's verdicts are, beside the rules that others use, on labelled traces.

    python -m benchmarks.verdicts [--seeds 11 12 13] [--per-kind 6] [--days 31] [--policy FILE]
                                  [--tuning] [--published] [--wrong] [--json]

Traces are made of recorded machines with episodes injected (see docs/verdicts.md), on machines
and seeds that no setting was tuned on; --tuning takes those that they were. The others'
rules have the settings that serve them best, or with --published their sources' own. With --wrong
every false and every missed case of the policy is told; with --json the last line is one object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.histories import History, cases, read_histories
from benchmarks.labelled import MACHINES, SETS, Half, Labelled, labelled_traces, machines_of
from benchmarks.peers import PUBLISHED, TUNED, Peer
from benchmarks.scoring import Opened, Score, add_up, mistakes, score
from controller.backtest.labels import NATURAL
from controller.backtest.outcome import Played, play
from controller.backtest.trace import Trace
from controller.fairshare.policy import Policy
from fairuse_protocol.messages import Resource
from fairuse_protocol.settings import load_settings

OURS = "this policy"
SEEDS: dict[Half, list[int]] = {"tuning": [1, 2, 3, 4], "report": [11, 12, 13]}


@dataclass(slots=True)
class Results:
    """Of every trace so far, by set."""

    scores: dict[str, dict[str, list[Score]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By rule, a score for each seed."""
    labels: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    """How many stretches, by kind and answer."""

    def totals(self, name: str) -> dict[str, Score]:
        """All seeds of one set together, by rule."""
        return {rule: add_up(scores) for rule, scores in self.scores[name].items()}


def opened(played: Played) -> Iterator[Opened]:
    """The cases of the one policy that was played."""
    begun: dict[tuple[str, str, Resource], float] = {}
    for event in played.outcomes[0].events.in_order():
        key = (event.host, event.tenant, event.resource)
        if event.event == "case-opened":
            begun[key] = event.time
        elif event.event == "case-closed":
            yield Opened(*key, begun.pop(key), event.time)
    for key, at in begun.items():
        yield Opened(*key, at, float("inf"))


def tenant_days(histories: Sequence[History]) -> float:
    """For how long tenants were measured, all together."""
    return sum(
        float((~np.isnan(history.entitled)).sum()) * history.seconds / 86400
        for history in histories
    )


def judge(
    labelled: Labelled, policy: Policy, peers: Mapping[str, Peer], results: Results, *, wrong: bool
) -> None:
    """The policy and every peer on one trace."""
    trace = Trace.open(labelled.directory)
    histories = read_histories(trace)
    days = tenant_days(histories)
    scores = results.scores[labelled.name]
    with play(trace, [(OURS, policy)], lambda _rows: None) as played:
        ours = list(opened(played))
        scored = score(ours, labelled.labels, days)
        scored.limited_minutes = played.outcomes[0].events.total().limited_minutes
    scores[OURS].append(scored)
    for name, peer in peers.items():
        found = [one for history in histories for one in cases(history, peer.condition(history))]
        scores[name].append(score(found, labelled.labels, days))
    results.labels[labelled.name].update((one.kind, one.answer) for one in labelled.labels)
    if wrong:
        print_mistakes(labelled, ours)


def print_mistakes(labelled: Labelled, ours: Sequence[Opened]) -> None:
    false, missed = mistakes(ours, labelled.labels)
    for case, around in false:
        said = Counter((label.kind, label.resource, label.answer) for label in around)
        own = [label.kind for label in around if label.tenant == case.tenant]
        print(f"false   {labelled.name} {labelled.seed} {case} own: {own} host: {dict(said)}")
    for label in missed:
        print(f"missed  {labelled.name} {labelled.seed} {label}")


def table(scores: dict[str, Score]) -> Iterator[str]:
    """One set's lines: every rule's figures, and under them the recall of each kind."""
    yield (
        f"{'':24} {'precision':>9} {'recall':>7} {'natural':>7} {'minutes':>8} "
        f"{'false/1000 d':>12} {'cases':>6} {'unjudged':>8} {'limited min':>11}"
    )
    for rule, one in scores.items():
        limited = f"{one.limited_minutes:11,.0f}" if rule == OURS else f"{'':>11}"
        yield (
            f"{rule:24} {one.precision:9.3f} {one.recall:7.3f} {one.recall_of_natural:7.3f} "
            f"{one.minutes_to_detect:8.1f} {one.false_per_1000_days:12.2f} "
            f"{one.true_cases + one.false_cases:6} {one.unjudged_cases:8} {limited}"
        )
    yield ""
    kinds = [kind for kind in scores[OURS].kinds if kind != NATURAL]
    yield f"{'recall of each kind':24} " + " ".join(f"{kind:>19}" for kind in kinds)
    for rule, one in scores.items():
        yield f"{rule:24} " + " ".join(f"{one.recall_of(kind):19.3f}" for kind in kinds)


def as_data(results: Results) -> dict[str, Any]:
    """Everything that the tables say, as numbers."""
    return {
        name: {
            "labels": [[*key, count] for key, count in sorted(results.labels[name].items())],
            "rules": {rule: _figures(one) for rule, one in results.totals(name).items()},
        }
        for name in results.scores
    }


def _figures(one: Score) -> dict[str, Any]:
    return {
        "precision": one.precision,
        "recall": one.recall,
        "recall_of": {kind: one.recall_of(kind) for kind in one.kinds},
        "stretches": {kind: one.found[kind] + one.missed[kind] for kind in one.kinds},
        "minutes_to_detect": one.minutes_to_detect,
        "false_per_1000_innocent_tenant_days": one.false_per_1000_days,
        "innocent_tenant_days": one.innocent_tenant_days,
        "true_cases": one.true_cases,
        "false_cases": one.false_cases,
        "unjudged_cases": one.unjudged_cases,
        "false_kinds": dict(one.false_kinds),
        "limited_minutes": one.limited_minutes,
    }


def print_results(results: Results) -> None:
    for name in SETS:
        answers: Counter[str] = Counter()
        for (_, answer), count in results.labels[name].items():
            answers[answer] += count
        print(
            f"\n{name}: {answers['1']} disproportionate stretches, {answers['0']} innocent "
            f"episodes, {answers['ambiguous']} ambiguous stretches left out"
        )
        print("\n".join(table(results.totals(name))))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How right the verdicts are.")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--per-kind", type=int, default=6)
    parser.add_argument("--days", type=float, default=31)
    parser.add_argument("--policy", type=Path, help="a policy's file; without it the built-in one")
    parser.add_argument("--tuning", action="store_true", help="the half that was tuned on")
    parser.add_argument("--published", action="store_true", help="the others' own settings")
    parser.add_argument("--wrong", action="store_true", help="tell every mistake of the policy")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


def main() -> None:
    wanted = options()
    half: Half = "tuning" if wanted.tuning else "report"
    if not MACHINES.is_dir():
        sys.exit(f"skipped: the recorded machines are not at {MACHINES}")
    policy = load_settings(wanted.policy, Policy) if wanted.policy else Policy()
    machines, results = machines_of(half), Results()
    seeds = wanted.seeds or SEEDS[half]
    peers = PUBLISHED if wanted.published else TUNED
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            for labelled in labelled_traces(
                machines, seed, days=wanted.days, per_kind=wanted.per_kind, directory=Path(folder)
            ):
                judge(labelled, policy, peers, results, wrong=wanted.wrong)
                elapsed = time.monotonic() - begun
                print(f"seed {seed}, {labelled.name}: {elapsed:.0f} s", file=sys.stderr)
    print(f"{half} half, {len(machines)} machines, seeds {seeds}, {wanted.days:g} days at 60 s")
    print_results(results)
    if wanted.json:
        print(
            json.dumps(
                {"benchmark": "verdicts", "half": half, "seeds": seeds, "sets": as_data(results)}
            )
        )


if __name__ == "__main__":
    main()
