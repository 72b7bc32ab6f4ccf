from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_cli.demo.fairness import max_min_fair, quota_text, waiting

amounts = st.floats(min_value=0, max_value=1e6, allow_nan=False)
demands = st.dictionaries(st.sampled_from("abcde"), amounts | st.just(math.inf), min_size=1)
finite_demands = st.dictionaries(st.sampled_from("abcde"), amounts, min_size=1)
capacities = st.floats(min_value=0.1, max_value=1e6)


@given(demands, capacities)
def test_nobody_gets_more_than_was_asked_for_and_all_together_what_there_is(
    asked: dict[str, float], capacity: float
) -> None:
    given_out = max_min_fair(asked, capacity)
    assert all(given_out[name] <= asked[name] for name in asked)
    assert math.fsum(given_out.values()) == pytest.approx(min(capacity, sum(asked.values())))


@given(demands, capacities)
def test_who_gets_less_than_was_asked_for_gets_as_much_as_anybody(
    asked: dict[str, float], capacity: float
) -> None:
    given_out = max_min_fair(asked, capacity)
    most = max(given_out.values())
    for name, amount in given_out.items():
        assert amount == asked[name] or amount == pytest.approx(most)


@given(finite_demands, capacities)
def test_nobody_waits_on_a_machine_that_has_enough_for_all(
    asked: dict[str, float], capacity: float
) -> None:
    waits = waiting(asked, capacity)
    assert all(0 <= wait <= 1 for wait in waits.values())
    if sum(asked.values()) <= capacity:
        assert set(waits.values()) == {0.0}


def test_a_busier_tenant_takes_the_others_time() -> None:
    calm = waiting({"a": 0.6, "b": 0.6}, 4)
    crowded = waiting({"a": 8.0, "b": 0.6}, 4)
    assert calm["b"] == 0
    assert crowded["b"] > 0.2


def test_the_quota_is_written_as_the_kernel_writes_it() -> None:
    assert quota_text(math.inf) == "-1"
    assert quota_text(1.25) == "125000"
