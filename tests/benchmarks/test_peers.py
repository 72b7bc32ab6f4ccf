from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.histories import History, cases, read_histories
from benchmarks.peers import PUBLISHED, Badness, Peer, moving_mean
from controller.backtest.demand import write_trace
from controller.backtest.trace import Trace
from fairuse_protocol.messages import RESOURCES
from tests.backtest.worlds import BEGIN, CAPACITY, steady_demand

HOG, FIRST, LAST = 2, 180, 240
"""Whose episode of an hour, and in which minutes."""
Histories = Callable[[str, float], History]
"""Of a resource, and of the share of it that one tenant asks for."""
COLUMNS = {"cpu": (0,), "disk": (1, 2), "net-in": (3,), "net-out": (4,)}


@pytest.fixture(scope="module")
def history_of(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    """A calm host of six, on which one tenant asks for so much of a resource for an hour."""

    def make(resource: str, share: float) -> History:
        demand = steady_demand(tenants=6, minutes=300, share=0.03)
        unrest = np.random.default_rng(1).lognormal(0, 0.2, demand.figures.shape)
        figures = demand.figures * unrest.astype(np.float32)
        for column in COLUMNS[resource]:
            figures[column, FIRST:LAST, HOG] = share * CAPACITY.figures()[column]
        demand.figures[:] = figures
        folder: Path = tmp_path_factory.mktemp("trace")
        for _ in write_trace(demand, folder, "parquet", recorded=demand.capacities, extra_waits={}):
            pass
        (history,) = read_histories(Trace.open(folder))
        return history

    return make


def test_a_history_is_what_the_trace_says(history_of: Histories) -> None:
    history = history_of("cpu", 0.5)
    assert history.share.shape == (4, 300, 6)
    assert history.ended_at[0] == BEGIN + 60
    assert history.entitled == pytest.approx(1 / 6)
    assert history.share[0, FIRST:LAST, HOG] == pytest.approx(0.5, rel=1e-3)
    assert history.utilisation[0, FIRST] == pytest.approx(history.share[0, FIRST].sum(), rel=1e-3)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("peer", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_every_peer_flags_an_obvious_hog_and_nobody_else(
    peer: Peer, resource: str, history_of: Histories
) -> None:
    history = history_of(resource, 1.5)
    found = list(cases(history, peer.condition(history)))
    assert {(one.tenant, one.resource) for one in found} == {(history.tenants[HOG], resource)}
    begin = BEGIN + 60 * FIRST
    assert begin < found[0].at <= begin + 40 * 60


@pytest.mark.parametrize("peer", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_no_peer_flags_a_calm_host(peer: Peer, history_of: Histories) -> None:
    history = history_of("cpu", 0.03)
    assert not peer.condition(history).any()


def test_a_case_opens_once_and_closes_after_fifteen_quiet_minutes(history_of: Histories) -> None:
    history = history_of("cpu", 0.03)
    condition = np.zeros(history.share.shape, dtype=bool)
    for minute in (10, 24, 60):
        condition[0, minute, 0] = True
    times = [(one.at, one.until) for one in cases(history, condition)]
    at = history.ended_at[[10, 24, 60]]
    assert times == [(at[0], at[1] + 900), (at[2], at[2] + 900)]


def test_badness_rises_by_use_over_quota_and_falls_by_what_is_left(history_of: Histories) -> None:
    history = history_of("cpu", 0.03)
    share = np.zeros_like(history.share)
    share[0, 100:, 0] = 1 / 6
    held = Badness(1.0, 0.5, minutes_to_bad=10).condition(with_share(history, share))
    # At the quota, twice the threshold, a score is full in half of the ten minutes.
    assert np.flatnonzero(held[0, :, 0])[0] == 100 + 5 - 1
    assert held[0, 104:, 0].all()


def with_share(history: History, share: np.ndarray) -> History:
    return History(
        history.host,
        history.tenants,
        history.ended_at,
        history.seconds,
        share,
        history.waiting,
        history.entitled,
        history.utilisation,
        history.host_waiting,
    )


def test_a_moving_mean_looks_back_only() -> None:
    values = np.array([[0.0, 0.0, 6.0, 0.0, 0.0, 3.0]])
    assert moving_mean(values, 3)[0].tolist() == [0, 0, 2, 2, 2, 1]
    assert math.isclose(moving_mean(values, 1)[0, 2], 6.0)
