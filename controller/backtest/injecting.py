"""Injecting labelled episodes into a trace's demand, so that the neighbours truly suffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from controller.backtest.demand import Demand, ExtraWaits
from controller.backtest.episodes import Kind, Part
from controller.backtest.hosting import CPU, Load
from controller.backtest.labels import Label, label_host
from controller.backtest.layout import HostCapacity, TraceError
from controller.backtest.scene import Scene
from fairuse_protocol.messages import Resource

_TRIES = 400
_MARGIN_SECONDS = 45 * 60
"""Before and after an episode its host has no other one: longer than a policy's window."""
_LEAST_TENANTS = 5
_LEAST_OF_EPISODE = 0.75
"""The part of a clear episode that the counterfactual has to call disproportionate."""
_LEAST_OF_RAMP = 0.25
_BIG_PLAN_SHARE = (0.66, 0.72)


@dataclass(frozen=True, slots=True)
class Episode:
    """What was injected, where and when."""

    kind: Kind
    host: str
    begin: int
    end: int
    concerned: tuple[tuple[str, Resource], ...]
    """Tenants, and the resources of theirs that it is about."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A trace's demand with everything that was injected."""

    demand: Demand
    extra_waits: ExtraWaits
    episodes: tuple[Episode, ...]


class Injector:
    """Finds places for episodes and changes the demand there."""

    def __init__(self, demand: Demand, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._demand = replace(demand, figures=demand.figures.copy())
        self._taken = {host: np.zeros(len(demand.ends), dtype=bool) for host in demand.capacities}
        self._extra: dict[str, npt.NDArray[np.float64]] = {}
        self._big_plans: dict[str, int] = {}
        self._episodes: list[Episode] = []

    def give_big_plans(self) -> None:
        """On a third of the hosts, give one tenant a plan of two thirds of the host."""
        hosts = list(self._demand.capacities)
        weights = self._demand.weights.copy()
        count = max(1, len(hosts) // 3)
        for host in self._random.choice(hosts, size=count, replace=False):
            columns = self._demand.columns(str(host))
            tenant = int(self._random.integers(columns.stop - columns.start))
            others = weights[columns].sum() - weights[columns][tenant]
            share = self._random.uniform(*_BIG_PLAN_SHARE)
            weights[columns.start + tenant] = round(others * share / (1 - share), 1)
            self._big_plans[str(host)] = tenant
        self._demand = replace(self._demand, weights=weights)

    def inject(self, kinds: Sequence[Kind], per_kind: int) -> Iterator[Episode]:
        """Inject that many episodes of each kind; TraceError where one finds no place."""
        if any(kind.needs_big_plan for kind in kinds):
            self.give_big_plans()
        # Those that fit on few hosts first, while there is room.
        for kind in sorted(kinds, key=lambda kind: not kind.needs_big_plan):
            for _ in range(per_kind):
                yield self._inject_one(kind)

    def result(self) -> Injected:
        """Everything so far."""
        return Injected(self._demand, dict(self._extra), tuple(self._episodes))

    def _inject_one(self, kind: Kind) -> Episode:
        for _ in range(_TRIES):
            episode = self._try(kind)
            if episode is not None:
                self._episodes.append(episode)
                return episode
        raise TraceError(
            f"{kind.name}: found no place for episode {len(self._episodes) + 1} in {_TRIES} tries; "
            "inject fewer, or into a longer trace or one with more hosts"
        )

    def _try(self, kind: Kind) -> Episode | None:
        hosts = list(self._big_plans) if kind.needs_big_plan else list(self._demand.capacities)
        host = hosts[self._random.integers(len(hosts))]
        minutes = self._random.uniform(*kind.minutes)
        length = max(1, round(minutes * 60 / self._demand.seconds))
        margin = _MARGIN_SECONDS // self._demand.seconds
        last = len(self._demand.ends) - length - margin
        if last <= margin:
            return None
        begin = int(self._random.integers(margin, last))
        around = slice(begin - margin, begin + length + margin)
        load = self._demand.load(host, slice(begin, begin + length))
        if self._taken[host][around].any() or not _suits(load, kind, self._big_plans.get(host)):
            return None
        scene = Scene(load, self._demand.seconds, self._random, self._big_plans.get(host))
        parts = kind.play(scene)
        if not parts:
            return None
        changed = self._with(scene, host, begin, around)
        if not _is_as_meant(label_host(changed, host), changed, host, kind, parts, minutes):
            return None
        self._keep(scene, host, begin, around)
        names = self._demand.tenants[self._demand.columns(host)]
        return Episode(
            kind=kind,
            host=host,
            begin=int(self._demand.ends[begin]) - self._demand.seconds,
            end=int(self._demand.ends[begin + length - 1]),
            concerned=tuple((names[tenant][1], resource) for tenant, resource in parts),
        )

    def _with(self, scene: Scene, host: str, begin: int, around: slice) -> Demand:
        """The host's tenants around the episode as if it had been injected."""
        columns = self._demand.columns(host)
        figures = self._demand.figures[:, around, columns].copy()
        inner = begin - around.start
        figures[:, inner : inner + scene.intervals] = scene.load.demand
        return Demand(
            self._demand.ends[around],
            self._demand.seconds,
            {host: self._demand.capacities[host]},
            self._demand.tenants[columns],
            self._demand.weights[columns],
            figures,
        )

    def _keep(self, scene: Scene, host: str, begin: int, around: slice) -> None:
        when, columns = slice(begin, begin + scene.intervals), self._demand.columns(host)
        self._demand.figures[:, when, columns] = scene.load.demand
        self._taken[host][around] = True
        if scene.extra_waits.any():
            shape = (3, len(self._demand.ends), columns.stop - columns.start)
            extra = self._extra.setdefault(host, np.zeros(shape))
            extra[:, when] = scene.extra_waits


def _suits(load: Load, kind: Kind, big_plan: int | None) -> bool:
    """Nobody comes or goes, all was measured, and the host is not too busy already."""
    measured = ~np.isnan(load.demand)
    there: npt.NDArray[np.bool_] = np.all(measured, axis=(0, 1))
    if np.isnan(load.capacity).any() or (np.any(measured, axis=(0, 1)) != there).any():
        return False
    if there.sum() < _LEAST_TENANTS or (big_plan is not None and not there[big_plan]):
        return False
    busiest = max(load.share_asked(column).sum(axis=1).mean() for column in range(CPU, 5))
    return bool(busiest <= kind.most_busy)


def _is_as_meant(
    labels: Sequence[Label],
    changed: Demand,
    host: str,
    kind: Kind,
    parts: Sequence[Part],
    minutes: float,
) -> bool:
    """Whether the counterfactual says of the episode, in one stretch, what its kind promises."""
    if kind.meant == "told":
        return True
    names = changed.tenants
    concerned = {(names[tenant][1], resource) for tenant, resource in parts}
    if kind.meant == "0":
        return not any(
            label.answer == "1" or (label.tenant, label.resource) in concerned for label in labels
        )
    least = minutes * 60 * (_LEAST_OF_RAMP if kind.name == "slow-ramp" else _LEAST_OF_EPISODE)
    guilty = [label for label in labels if label.answer == "1"]
    lengths = {(label.tenant, label.resource): label.end - label.begin for label in guilty}
    whole = sum((label.tenant, label.resource) in concerned for label in guilty) == len(concerned)
    return whole and all(lengths.get(key, 0) >= least for key in concerned)


def name_labels(labels: Sequence[Label], episodes: Sequence[Episode]) -> list[Label]:
    """Give the stretches that episodes caused their kind, and add what was found innocent."""
    named = list(labels)
    for episode in episodes:
        for tenant, resource in episode.concerned:
            hit = [
                place
                for place, label in enumerate(named)
                if (label.host, label.tenant, label.resource) == (episode.host, tenant, resource)
                and label.begin < episode.end
                and label.end > episode.begin
            ]
            for place in hit:
                named[place] = replace(named[place], kind=episode.kind.name)
            if not hit:
                named.append(
                    Label(
                        begin=episode.begin,
                        end=episode.end,
                        host=episode.host,
                        tenant=tenant,
                        resource=resource,
                        kind=episode.kind.name,
                        answer="0",
                    )
                )
    return sorted(named)


def misrecord(
    capacities: dict[str, HostCapacity], *, error: float, missing: float, seed: int
) -> dict[str, HostCapacity]:
    """What a provider may have written down: disk and network capacities off by up to `error` of
    the truth, and a part `missing` of them not known at all. Cores are known everywhere."""
    random = np.random.default_rng(seed)
    recorded = {}
    for host, capacity in capacities.items():
        cores, *others = capacity.figures()
        off = [figure * (1 + random.uniform(-error, error)) for figure in others]
        kept = [np.nan if random.random() < missing else round(figure, 1) for figure in off]
        recorded[host] = HostCapacity.of((cores, *kept))
    return recorded
