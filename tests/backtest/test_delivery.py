from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from controller.backtest.delivery import (
    all_cores_busy,
    cpu_waiting,
    disk_waiting,
    max_min_shares,
    net_waiting,
    network_loss,
    proportional_shares,
)

AMOUNTS = st.floats(0, 64) | st.just(0.0)
BusyHost = tuple[np.ndarray, np.ndarray, float]
"""What each tenant asks for in each interval, their weights, and what there is of it."""


@st.composite
def hosts(draw: st.DrawFn) -> BusyHost:
    tenants = draw(st.integers(1, 12))
    demand = draw(arrays.arrays(np.float64, (draw(st.integers(1, 5)), tenants), elements=AMOUNTS))
    weights = draw(arrays.arrays(np.float64, tenants, elements=st.floats(0.1, 50)))
    return demand, weights, draw(st.floats(0.5, 128))


@given(hosts())
def test_nobody_gets_more_than_asked_and_the_host_gives_no_more_than_it_has(host: BusyHost) -> None:
    demand, weights, capacity = host
    given_out = max_min_shares(demand, weights, capacity)
    assert (given_out >= 0).all()
    assert (given_out <= demand).all()
    assert (given_out.sum(axis=1) <= capacity * (1 + 1e-9)).all()


@given(hosts())
def test_nothing_is_left_over_while_anybody_wants_more(host: BusyHost) -> None:
    demand, weights, capacity = host
    given_out = max_min_shares(demand, weights, capacity).sum(axis=1)
    assert given_out == pytest.approx(np.minimum(demand.sum(axis=1), capacity), rel=1e-9)


@given(hosts())
def test_who_gets_less_than_asked_has_no_less_for_its_weight_than_anyone(host: BusyHost) -> None:
    demand, weights, capacity = host
    given_out = max_min_shares(demand, weights, capacity)
    per_weight = given_out / weights
    short = given_out < demand * (1 - 1e-9) - 1e-12
    highest = per_weight.max(axis=1, keepdims=True) * np.ones_like(per_weight)
    assert per_weight[short] == pytest.approx(highest[short], rel=1e-6)


@given(hosts())
def test_who_stays_within_its_entitlement_gets_what_it_asks_for(host: BusyHost) -> None:
    demand, weights, capacity = host
    given_out = max_min_shares(demand, weights, capacity)
    within = demand <= capacity * weights / weights.sum()
    assert given_out[within] == pytest.approx(demand[within], rel=1e-9)


@given(hosts(), st.randoms(use_true_random=False))
def test_the_order_of_tenants_does_not_matter(host: BusyHost, random: Random) -> None:
    demand, weights, capacity = host
    order = list(range(len(weights)))
    random.shuffle(order)
    shuffled = max_min_shares(demand[:, order], weights[order], capacity)
    assert shuffled == pytest.approx(max_min_shares(demand, weights, capacity)[:, order])


@given(hosts())
def test_everyone_gets_the_same_part_of_a_full_disk(host: BusyHost) -> None:
    demand, _, capacity = host
    given_out = proportional_shares(demand, demand.sum(axis=1) / capacity)
    assert (given_out <= demand).all()
    assert given_out.sum(axis=1) == pytest.approx(np.minimum(demand.sum(axis=1), capacity))


@given(hosts())
def test_waiting_is_a_share_of_time_and_an_idle_tenant_waits_nothing(host: BusyHost) -> None:
    demand, weights, capacity = host
    delivered = max_min_shares(demand, weights, capacity)
    load = demand.sum(axis=1) / capacity
    loss = network_loss(load)
    for tenants, whole in (
        cpu_waiting(demand, delivered, capacity),
        disk_waiting(demand / capacity, load),
        net_waiting(demand, demand, loss, loss),
    ):
        assert ((tenants >= 0) & (tenants <= 1)).all()
        assert ((whole >= 0) & (whole <= 1)).all()
        assert (tenants[demand == 0] == 0).all()
        assert (whole[:, np.newaxis] * (demand > 0) >= tenants - 1e-9).all()


def test_waiting_grows_with_load_and_never_leaps() -> None:
    load = np.linspace(0, 2, 401)
    # A neighbour that asks for one of 16 cores, beside one that asks for the rest of the load.
    hog = np.maximum(0, load * 16 - 1)
    demand = np.stack((np.ones_like(load), hog), axis=1)
    neighbour = cpu_waiting(demand, max_min_shares(demand, np.array([1.0, 1.0]), 16.0), 16.0)[0]
    for waits in (
        neighbour[:, 0],
        disk_waiting(np.full((401, 1), 0.02), load)[0][:, 0],
        network_loss(load),
    ):
        steps = np.diff(waits)
        assert (steps >= -1e-12).all()
        assert steps.max() < 0.1
    assert neighbour[load < 0.5, 0].max() < 0.01
    assert 0.3 < neighbour[-1, 0] < 0.6, "within its share, it waits for slices, not for ever"


@pytest.mark.parametrize(
    ("cores", "load", "busy"),
    # Erlang's C from the defining sum, worked out with fractions.
    [(1, 0.5, 0.5), (2, 0.5, 1 / 3), (2, 0.8, 0.7111111), (10, 0.8, 0.4091801)],
)
def test_all_cores_are_busy_as_often_as_erlang_says(cores: float, load: float, busy: float) -> None:
    assert all_cores_busy(np.array([load]), cores)[0] == pytest.approx(busy, rel=1e-6)
    assert all_cores_busy(np.array([1.0, 3.0]), cores).tolist() == [1.0, 1.0]


def test_far_past_the_limit_what_does_not_fit_is_lost() -> None:
    assert network_loss(np.array([2.0, 10.0])) == pytest.approx([0.5, 0.9], rel=1e-6)
    assert network_loss(np.array([0.0, 0.5]))[1] < 1e-9
