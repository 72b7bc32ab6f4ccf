"""Leases, guard and division: pure arithmetic, so properties rather than examples."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairuse_agent.limiter import division, guard, leases
from fairuse_agent.limiter.settings import Floors
from fairuse_protocol.limits import LiftReason, LimitOrder, TenantPlace
from fairuse_protocol.messages import Allowance

seconds = st.floats(min_value=0, max_value=1e6, allow_nan=False)
amounts = st.floats(min_value=0, max_value=1e12, allow_nan=False)


def order(allowance: Allowance, fair_share: Allowance | None = None) -> LimitOrder:
    return LimitOrder(
        order="o",
        tenant="alder",
        resource="cpu",
        allowance=allowance,
        fair_share=fair_share or Allowance(cores=0.1),
        remaining_seconds=60,
    )


def timed(remaining: float) -> LimitOrder:
    return msgspec.structs.replace(order(Allowance(cores=2)), remaining_seconds=remaining)


def lease_to(end: float, epoch: float, ended: LiftReason | None = None) -> leases.Lease:
    return leases.Lease(
        order="o", tenant="alder", resource="cpu", ends_at=end, ends_at_epoch=epoch, ended=ended
    )


def place(tenant: str, weight: float = 1.0, *cgroups: str) -> TenantPlace:
    return TenantPlace(tenant=tenant, weight=weight, cgroups=cgroups)


@given(steps=st.lists(st.tuples(seconds, seconds), min_size=1, max_size=20))
def test_a_lease_only_ever_comes_nearer_and_never_passes_the_longest(
    steps: list[tuple[float, float]],
) -> None:
    now, lease, ends = 0.0, None, []
    for passed, remaining in steps:
        now += passed
        lease = leases.seen(lease, timed(remaining), max_lease=3600, now=now, epoch=now + 1e9)
        ends.append(lease.ends_at)
    assert ends == sorted(ends, reverse=True)
    assert ends[0] <= steps[0][0] + 3600


@given(remaining=st.floats(max_value=0, allow_nan=False))
def test_an_order_with_no_time_left_is_over_at_once(remaining: float) -> None:
    lease = leases.seen(None, timed(remaining), max_lease=60, now=5, epoch=5)
    assert leases.barred(lease, now=5)


@pytest.mark.parametrize(
    ("ended", "may_return"),
    [
        ("lease-ended", False),
        ("withdrawn", False),
        ("lift-all", False),
        ("target-gone", False),
        ("controller-silent", False),
        ("limiter-started", True),
        ("limiter-stopped", True),
    ],
)
def test_only_the_limiters_own_restart_may_be_followed_by_the_same_order(
    ended: LiftReason, may_return: bool
) -> None:
    lease = lease_to(100, 100, ended)
    assert (leases.barred(lease, now=50) is None) == may_return


def test_a_reboot_moves_a_lease_to_the_new_clock_by_the_wall_clock() -> None:
    lease = lease_to(90_000, 5_000)
    moved = leases.after_boot(lease, max_lease=3600, now=20, epoch=4_900)
    assert moved.ends_at == 120
    wrong_clock = leases.after_boot(lease, max_lease=3600, now=20, epoch=0)
    assert wrong_clock.ends_at == 3620, "a wall clock set back cannot stretch it past the longest"


def test_silence_ends_a_limit_when_it_exceeds_what_is_allowed() -> None:
    lease = lease_to(1000, 1000)
    assert leases.ending(lease, heard_at=10, max_silence=300, now=310) is None
    assert leases.ending(lease, heard_at=10, max_silence=300, now=310.1) == "controller-silent"
    assert leases.ending(lease, heard_at=999, max_silence=300, now=1000) == "lease-ended"


@example(total=1.0, use={"": 5e-324})
@given(total=amounts, use=st.dictionaries(st.text(max_size=3), amounts, min_size=1, max_size=8))
def test_the_parts_add_up_to_the_allowance_and_none_is_starved(
    total: float, use: dict[str, float]
) -> None:
    parts = division.divide(total, use)
    assert sum(parts.values()) == pytest.approx(total)
    smallest = total * division.KEPT_BACK / len(use)
    assert all(part >= smallest * 0.999 for part in parts.values())


@given(weights=st.lists(st.floats(min_value=0.01, max_value=100), min_size=1, max_size=10))
def test_fair_shares_of_all_tenants_add_up_to_the_capacity(weights: list[float]) -> None:
    places = [place(str(number), weight) for number, weight in enumerate(weights)]
    capacity = Allowance(cores=8)
    shares = [guard.fair_share(p.tenant, places, capacity, "cpu")["cores"] for p in places]
    assert sum(shares) == pytest.approx(8)


def test_two_places_that_claim_one_cgroup_count_once() -> None:
    kept = guard.owned_once([place("a", 1, "/x"), place("b", 1, "/x", "/y"), place("c", 1, "/z")])
    assert [p.tenant for p in kept] == ["a", "c"]


def test_a_group_below_another_of_the_same_tenant_counts_once() -> None:
    (kept,) = guard.owned_once([place("a", 1, "/x/y", "/x", "/xy", "/x/y/z", "/x")])
    assert kept.cgroups == ("/x", "/xy")


@pytest.mark.parametrize(
    ("own", "told", "floor", "least"),
    [
        pytest.param(0.5, 0.2, 0.1, 0.5, id="the limiter's own figure"),
        pytest.param(0.2, 0.5, 0.1, 0.5, id="the controller's"),
        pytest.param(0.05, 0.05, 0.1, 0.1, id="the one in limiter.toml"),
    ],
)
def test_the_largest_floor_counts(own: float, told: float, floor: float, least: float) -> None:
    asked = order(Allowance(cores=1), Allowance(cores=told))
    assert guard.floor(asked, {"cores": own}, Floors(cpu_cores=floor)) == {"cores": least}


def test_an_allowance_under_the_fair_share_is_refused_by_promise_4_in_words() -> None:
    refusal = guard.judge_allowance(order(Allowance(cores=0.4)), {"cores": 0.5})
    assert refusal is not None
    assert refusal.promise == 4
    assert "0.4 cores is under the 0.5" in refusal.reason
    assert guard.judge_allowance(order(Allowance(cores=0.499)), {"cores": 0.5}) is None


def test_an_order_without_a_figure_for_its_resource_is_refused() -> None:
    refusal = guard.judge_shape(order(Allowance(bytes_per_second=5)))
    assert refusal is not None
    assert "expected cores" in refusal.reason


@given(use=amounts, share=amounts)
def test_only_a_tenant_over_its_share_may_be_limited(use: float, share: float) -> None:
    refusal = guard.judge_use("cpu", {"cores": use}, {"cores": share})
    assert (refusal is None) == (use > share)


def test_a_counter_that_ran_backwards_counts_as_no_use() -> None:
    from fairuse_agent.limiter.kernel.knobs import Knob

    knob = Knob(kind="cpu-v1", target="/x", identity=1)
    assert division.rates({knob: {"cores": 9}}, {knob: {"cores": 1}}, 1) == {knob: {"cores": 0}}
