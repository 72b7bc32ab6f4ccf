from __future__ import annotations

import numpy as np
import pytest

from controller.backtest.episodes import KINDS, Kind
from controller.backtest.injecting import Injector, misrecord, name_labels
from controller.backtest.labels import label_demand
from controller.backtest.layout import TraceError
from tests.backtest.worlds import CAPACITY, steady_demand


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_labelled_as_it_is_meant(kind: Kind) -> None:
    demand = steady_demand(hosts=3, tenants=14, minutes=1440, share=0.02)
    injector = Injector(demand, seed=5)
    episodes = list(injector.inject([kind], per_kind=2))
    injected = injector.result()
    labels = name_labels([one for host in label_demand(injected.demand) for one in host], episodes)
    named = [label for label in labels if label.kind == kind.name]
    for episode in episodes:
        for tenant, resource in episode.concerned:
            answers = {
                label.answer
                for label in named
                if (label.host, label.tenant, label.resource) == (episode.host, tenant, resource)
                and label.begin < episode.end
                and label.end > episode.begin
            }
            assert answers, "every episode has a label"
            if kind.meant != "told":
                assert kind.meant in answers
                assert answers <= {kind.meant, "ambiguous"}
                assert kind.meant == "1" or answers == {"0"}
    assert not [one for one in labels if one.kind == "natural" and one.answer == "1"]


def test_the_same_seed_injects_the_same_and_another_something_else() -> None:
    demand = steady_demand(hosts=2, minutes=1440)
    figures = []
    for seed in (1, 1, 2):
        injector = Injector(demand, seed)
        list(injector.inject(KINDS[:3], per_kind=1))
        figures.append(injector.result().demand.figures)
    assert np.array_equal(figures[0], figures[1])
    assert not np.array_equal(figures[0], figures[2])
    assert np.array_equal(demand.figures, steady_demand(hosts=2, minutes=1440).figures)


def test_a_trace_without_room_says_which_kind_found_none() -> None:
    injector = Injector(steady_demand(minutes=100), seed=1)
    with pytest.raises(TraceError, match=r"steady-cpu-hog: found no place .* longer trace"):
        list(injector.inject(KINDS[:1], per_kind=1))


def test_recorded_capacities_are_off_and_missing_as_asked_and_cores_are_right() -> None:
    true = {f"h{number}": CAPACITY for number in range(200)}
    recorded = misrecord(true, error=0.25, missing=0.33, seed=1)
    assert {capacity.cpu_cores for capacity in recorded.values()} == {16.0}
    others = np.array([capacity.figures()[1:] for capacity in recorded.values()])
    assert 0.28 < np.isnan(others).mean() < 0.38
    off = others / np.array(CAPACITY.figures()[1:])
    assert 0.75 <= np.nanmin(off) < 0.77
    assert 1.23 < np.nanmax(off) <= 1.25
    assert misrecord(true, error=0.0, missing=0.0, seed=1) == true
