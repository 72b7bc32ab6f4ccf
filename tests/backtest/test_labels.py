from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.backtest.counterfactual import NEARLY, NO, YES
from controller.backtest.demand import Demand
from controller.backtest.labels import label_host, read_labels, stretches, write_labels
from tests.backtest.worlds import BEGIN, CAPACITY, steady_demand

COLUMNS = {"cpu": 0, "disk": 1, "net-in": 3, "net-out": 4}


def guilty(demand: Demand, answer: str = "1") -> set[tuple[str, str]]:
    return {
        (label.tenant, label.resource)
        for label in label_host(demand, "h0")
        if label.answer == answer
    }


def ask(
    demand: Demand, tenant: int, resource: str, share: float, when: slice = slice(10, 50)
) -> None:
    column = COLUMNS[resource]
    demand.figures[column, when, tenant] = share * CAPACITY.figures()[column]


@pytest.mark.parametrize("resource", list(COLUMNS))
def test_who_alone_fills_the_host_is_the_cause(resource: str) -> None:
    demand = steady_demand()
    ask(demand, 3, resource, 1.4)
    (label,) = label_host(demand, "h0")
    assert (label.tenant, label.resource, label.answer) == ("h0t3", resource, "1")
    assert (label.begin, label.end) == (BEGIN + 600, BEGIN + 3000)


@pytest.mark.parametrize("resource", list(COLUMNS))
def test_heavy_use_of_an_idle_host_is_nobodys_harm(resource: str) -> None:
    demand = steady_demand(share=0.01)
    ask(demand, 3, resource, 0.7)
    assert label_host(demand, "h0") == []


@pytest.mark.parametrize("resource", list(COLUMNS))
def test_everybody_busy_has_no_one_cause(resource: str) -> None:
    demand = steady_demand()
    for tenant in range(8):
        ask(demand, tenant, resource, 0.125 * (1.1 + 0.05 * (tenant % 4)))
    assert label_host(demand, "h0") == []


@pytest.mark.parametrize("resource", list(COLUMNS))
def test_two_that_fill_the_host_together_are_both_the_cause(resource: str) -> None:
    demand = steady_demand()
    ask(demand, 3, resource, 1.2)
    ask(demand, 5, resource, 1.1)
    assert guilty(demand) == {("h0t3", resource), ("h0t5", resource)}


@pytest.mark.parametrize("resource", list(COLUMNS))
def test_beside_a_hog_a_tenant_a_little_over_its_share_is_not_the_cause(resource: str) -> None:
    demand = steady_demand()
    ask(demand, 3, resource, 1.4)
    ask(demand, 5, resource, 0.16)
    assert guilty(demand) == {("h0t3", resource)}


@pytest.mark.parametrize("resource", list(COLUMNS))
def test_a_big_plan_that_stays_inside_its_share_is_innocent_on_a_full_host(resource: str) -> None:
    demand = steady_demand()
    demand.weights[3] = 14.0
    for tenant in range(8):
        ask(demand, tenant, resource, 0.6 if tenant == 3 else 0.07)
    assert not {label for label in guilty(demand) if label[0] == "h0t3"}


def test_where_no_neighbour_wants_anything_nobody_is_harmed() -> None:
    demand = steady_demand(share=0.0)
    ask(demand, 3, "cpu", 1.5)
    assert label_host(demand, "h0") == []


def test_a_tenant_that_is_not_there_is_entitled_to_nothing() -> None:
    demand = steady_demand()
    demand.figures[:, :, 4:] = np.nan
    ask(demand, 3, "cpu", 0.24)
    assert label_host(demand, "h0") == [], "a quarter is its share among four"


@pytest.mark.parametrize(
    ("minutes", "answers"), [(8, []), (12, ["ambiguous"]), (19, ["ambiguous"]), (20, ["1"])]
)
def test_what_is_short_is_innocent_and_what_is_nearly_sustained_is_ambiguous(
    minutes: int, answers: list[str]
) -> None:
    findings = np.full(60, NO, dtype=np.int8)
    findings[5 : 5 + minutes] = YES
    assert [answer for _, _, answer in stretches(findings, 60)] == answers


def test_a_pause_of_three_minutes_does_not_end_a_stretch_and_its_fringes_are_ambiguous() -> None:
    findings = np.full(60, NO, dtype=np.int8)
    findings[0:5] = NEARLY
    findings[5:15] = YES
    findings[18:30] = YES
    findings[40:52] = YES
    assert stretches(findings, 60) == [
        (0, 5, "ambiguous"),
        (5, 30, "1"),
        (40, 52, "ambiguous"),
    ]


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    demand = steady_demand()
    ask(demand, 3, "disk", 1.4)
    labels = label_host(demand, "h0")
    write_labels(tmp_path / "labels.csv", labels)
    assert read_labels(tmp_path / "labels.csv") == labels
    header = (tmp_path / "labels.csv").read_text().splitlines()[0]
    assert header == "host,tenant,resource,kind,begin,end,disproportionate"
