"""Odd orders and odd kernels: one order's trouble stays its own, and lifting always goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fairuse_agent.limiter.kernel.knobs import Fields, KernelError, Knob
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import LimitOrder, TenantPlace
from fairuse_protocol.messages import Allowance
from tests.limiter.double import UNTOUCHED
from tests.limiter.rig import ALDER, BIRCH, Rig, cpu, net, wish

TWO = TenantPlace(tenant="alder", weight=1, cgroups=("/alder", "/alder2"))
BOTH = (cpu(2.5, left=30), cpu(2.5, order="o2", tenant="birch", left=30))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.keeper.start("limiter-started")
    return rig


def fails_at(rig: Rig, name: str, target: str, error: Exception) -> Callable[[], None]:
    """The kernel's `name` raises this for one target, until the answer is called."""
    usual = getattr(rig.kernel, name)

    def odd(knob: Knob, *fields: Fields) -> object:
        if knob.target == target:
            raise error
        return usual(knob, *fields)

    setattr(rig.kernel, name, odd)
    return lambda: setattr(rig.kernel, name, usual)


@pytest.mark.parametrize("how", ["start", "lift_all", "tick", "withdrawn"])
def test_an_odd_fault_in_one_lift_does_not_keep_the_others_standing(rig: Rig, how: str) -> None:
    rig.hold(*BOTH)
    mend = fails_at(rig, "read", "/alder", ModuleNotFoundError("pystemd"))
    if how == "start":
        rig.restart().start("limiter-started")
    elif how == "lift_all":
        rig.keeper.lift_all("limiter-stopped")
    elif how == "tick":
        rig.use(31)
    else:
        rig.keeper.set_limits(wish())
    assert rig.keeper.left_over() == ["/alder"]
    mend()
    assert (rig.quota("/alder"), rig.quota("/birch")) == ("250000", "max")
    rig.use(1)
    assert rig.quota("/alder") == "max"
    assert rig.keeper.left_over() == []


@pytest.mark.parametrize(
    "error", [KernelError("io.stat cannot be read"), OSError(36, "File name too long"), KeyError(1)]
)
def test_an_order_that_cannot_be_measured_is_refused_and_the_others_are_held(
    rig: Rig, error: Exception
) -> None:
    mend = fails_at(rig, "measure", "/alder", error)
    state = rig.hold(*BOTH)
    mend()
    assert [held.order for held in state.held] == ["o2"]
    assert [refused.order for refused in state.refused] == ["o1"]
    assert str(error) in state.refused[0].reason


def test_a_measurement_that_fails_the_second_time_refuses_the_order(rig: Rig) -> None:
    rig.keeper.set_limits(wish(*BOTH))
    fails_at(rig, "measure", "/alder", KernelError("io.stat cannot be read"))
    rig.use(1)
    state = rig.keeper.state()
    assert [held.order for held in state.held] == ["o2"]
    assert "io.stat" in state.refused[0].reason


def test_a_standing_order_without_a_figure_for_its_resource_is_refused(rig: Rig) -> None:
    rig.hold(cpu(2.5))
    odd = msgspec.structs.replace(cpu(2.5), allowance=Allowance(bytes_per_second=1.0))
    (refused,) = rig.keeper.set_limits(wish(odd)).refused
    assert "expected cores" in refused.reason
    assert rig.quota() == "250000"


def test_a_qdisc_taken_over_that_cannot_be_cleaned_up_is_refused_and_tried_again(rig: Rig) -> None:
    rig.hold(net("net-in", 6e5, order="n"))
    rig.kernel.states[rig.kernel.knob("shaper", "tap-alder")] = {"root": "htb 1:"}
    mend = fails_at(rig, "clean_up", "tap-alder", KernelError("EBUSY"))
    rig.use(1)
    (refused,) = rig.keeper.set_limits(wish(net("net-in", 7e5, order="n"))).refused
    assert refused.promise == 3
    mend()
    rig.keeper.set_limits(wish())
    assert rig.keeper.left_over() == []
    assert not rig.keeper.state().lifted[0].restored


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("other", [cpu(2.5, tenant="birch"), net("net-out", 6e5, order="o1")])
def test_an_order_cannot_be_pointed_at_another_tenant_or_resource(
    rig: Rig, other: LimitOrder, ended: bool
) -> None:
    rig.hold(cpu(2.5))
    if ended:
        rig.restart().start("limiter-started")
    rig.use(1)
    state = rig.keeper.set_limits(wish(other))
    assert state.held == ()
    assert "it was for cpu of tenant alder" in state.refused[0].reason
    assert state.refused[0].promise == 4
    assert rig.kernel.touched() == {}


def test_a_limit_eased_past_what_stood_before_goes_back_to_that(rig: Rig) -> None:
    plan = {**UNTOUCHED["cpu-v1"], "quota": "300000"}
    rig.kernel.states[rig.kernel.knob("cpu-v1", "/alder")] = dict(plan)
    rig.hold(cpu(2.5))
    state = rig.keeper.set_limits(wish(cpu(2.5), places=(ALDER,)))
    assert rig.quota() == "300000"
    assert (state.held, rig.keeper.left_over()) == ((), [])
    assert (state.lifted[0].reason, state.lifted[0].restored) == ("withdrawn", True)


def test_what_a_tighter_quota_of_one_cgroup_leaves_goes_to_the_others(rig: Rig) -> None:
    knob = rig.kernel.knob("cpu-v1", "/alder2")
    rig.kernel.states[knob] = {**UNTOUCHED["cpu-v1"], "quota": "15000"}
    request = wish(cpu(2.0), places=(TWO, BIRCH))
    rig.keeper.set_limits(request)
    rig.use(1, alder=3.0, alder2=0.15)
    for _ in range(3):
        assert (rig.quota("/alder"), rig.quota("/alder2")) == ("200000", "15000")
        rig.use(10, alder=2.0, alder2=0.15)
        rig.keeper.set_limits(request)


def test_of_two_cgroups_the_one_eased_past_its_own_quota_is_let_go(rig: Rig) -> None:
    knob = rig.kernel.knob("cpu-v1", "/alder2")
    plan = {**UNTOUCHED["cpu-v1"], "quota": "50000"}
    rig.kernel.states[knob] = dict(plan)
    rig.keeper.set_limits(wish(cpu(2.0), places=(TWO, BIRCH)))
    rig.use(1, alder=3.0, alder2=0.5)
    assert rig.quota("/alder2") not in ("max", "50000")
    rig.use(10, alder=1.5, alder2=0.35)
    state = rig.keeper.set_limits(wish(cpu(3.9), places=(TWO, BIRCH)))
    assert rig.kernel.read(knob) == plan
    assert (rig.quota("/alder"), state.held[0].targets) == ("390000", ("/alder",))


def test_limits_left_from_before_a_restart_count(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LimiterSettings(max_limits=1))
    rig.hold(cpu(2.5))
    fails_at(rig, "write", "/alder", KernelError("busy"))
    rig.restart().start("limiter-started")
    state = rig.hold(cpu(2.5, order="o2", tenant="birch"))
    assert state.refused[0].promise == 8
    assert rig.quota("/birch") == "max"


def test_a_lift_that_is_refused_is_not_due_at_once(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=10))
    rig.kernel.broken = "busy"
    rig.use(400)
    due = rig.keeper.next_due()
    assert due is not None
    assert due > rig.clock.now


def test_orders_that_are_refused_leave_no_lease_behind(rig: Rig) -> None:
    rig.keeper.set_limits(wish(*[cpu(2.5, order=f"x{n}", tenant="nobody") for n in range(50)]))
    rig.keeper.set_limits(wish(cpu(2.5, order="within")))
    rig.use(1, alder=1)
    rig.keeper.set_limits(wish())
    assert b"lease" not in rig.path.read_bytes()


def test_more_orders_than_could_ever_stand_are_not_looked_at(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LimiterSettings(max_limits=2))
    rig.hold(cpu(2.5, order="held"))
    orders = [cpu(2.5, order=f"x{n}", tenant=f"t{n}") for n in range(20)]
    state = rig.keeper.set_limits(wish(*orders, cpu(2.5, order="held")))
    assert [held.order for held in state.held] == ["held"]
    assert [refused.promise for refused in state.refused].count(8) == 13
    assert len(state.refused) == 20


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_names_that_the_journal_should_not_keep_are_refused(rig: Rig, name: str) -> None:
    (refused,) = rig.keeper.set_limits(wish(cpu(2.5, order=name))).refused
    assert "expected 1 to 200 characters" in refused.reason


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf")])
def test_a_tenant_without_a_weight_is_not_limited(rig: Rig, weight: float) -> None:
    odd = msgspec.structs.replace(ALDER, weight=weight)
    order = msgspec.structs.replace(cpu(0.1), fair_share=Allowance())
    (refused,) = rig.keeper.set_limits(wish(order, places=(odd, BIRCH))).refused
    assert refused.promise == 4
    assert "weight" in refused.reason


def test_all_that_ends_at_once_is_lifted_before_the_journal_is_written(rig: Rig) -> None:
    rig.hold(*BOTH)
    steps = rig.kernel.steps
    saves_before = steps.taken
    rig.use(31)
    assert rig.kernel.touched() == {}
    # Two lifts of three fields and a step each, and one save of two steps.
    assert steps.taken - saves_before == 2 * 4 + 2
