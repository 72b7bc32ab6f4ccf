"""The keeper over a kernel double: orders are a state to reach, within the promises."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import LiftReason, TenantPlace
from fairuse_protocol.units import Duration
from tests.limiter.double import UNTOUCHED
from tests.limiter.rig import ALDER, BIRCH, Rig, cpu, net, wish


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.keeper.start("limiter-started")
    return rig


def test_an_order_is_pending_while_the_tenant_is_measured_and_then_held(rig: Rig) -> None:
    at_once = rig.keeper.set_limits(wish(cpu(2.5)))
    assert (at_once.held, at_once.refused) == ((), ())
    assert rig.quota() == "max"
    rig.use(1)
    held = rig.keeper.state().held
    assert [(h.order, h.targets, h.allowance.cores) for h in held] == [("o1", ("/alder",), 2.5)]
    assert rig.quota() == "250000"


def test_a_tenant_within_its_fair_share_is_left_alone(rig: Rig) -> None:
    rig.keeper.set_limits(wish(cpu(2.5)))
    rig.use(1, alder=1.9)
    (refused,) = rig.keeper.state().refused
    assert refused.promise == 4
    assert "measured 1.9 of 2 cores" in refused.reason
    assert rig.quota() == "max"


def test_a_refusal_for_want_of_use_is_told_while_the_tenant_is_measured_anew(rig: Rig) -> None:
    rig.keeper.set_limits(wish(cpu(2.5)))
    rig.use(1, alder=1)
    assert rig.keeper.set_limits(wish(cpu(2.5))).refused[0].promise == 4
    rig.use(1, alder=3)
    assert rig.keeper.state().refused == ()
    assert rig.quota() == "250000"


def test_an_allowance_under_the_limiters_own_figure_is_refused(rig: Rig) -> None:
    (refused,) = rig.keeper.set_limits(wish(cpu(1.5))).refused
    assert refused.promise == 4
    assert "1.5 cores is under the 2" in refused.reason


def test_tenants_that_are_not_in_the_kernel_make_nobodys_share_smaller(rig: Rig) -> None:
    invented = tuple(
        TenantPlace(tenant=f"x{n}", weight=50, cgroups=(f"/nowhere{n}",)) for n in range(9)
    )
    (refused,) = rig.keeper.set_limits(wish(cpu(1.5), places=(ALDER, BIRCH, *invented))).refused
    assert refused.promise == 4


def test_a_limit_ends_by_itself_when_its_lease_does(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=30))
    rig.use(28.9)
    assert rig.quota() == "250000"
    rig.use(0.1)
    (lifted,) = rig.keeper.state().lifted
    assert (lifted.reason, lifted.restored) == ("lease-ended", True)
    assert rig.quota() == "max"


def test_repeating_an_order_with_more_time_left_does_not_lengthen_it(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=30))
    for _ in range(6):
        rig.keeper.set_limits(wish(cpu(2.5, left=30)))
        rig.use(5)
    assert rig.quota() == "max"
    (refused,) = rig.keeper.set_limits(wish(cpu(2.5, left=30))).refused
    assert refused.promise == 2
    assert "ended (lease-ended)" in refused.reason


def test_repeating_an_order_with_less_time_left_brings_its_end_nearer(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=300))
    rig.keeper.set_limits(wish(cpu(2.5, left=5)))
    assert rig.keeper.next_due() == rig.clock.now + 5
    rig.use(5)
    assert rig.quota() == "max"


def test_no_order_outlives_the_longest_lease(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LimiterSettings(max_lease=Duration(100)))
    rig.hold(cpu(2.5, left=10_000))
    rig.use(99)
    assert rig.quota() == "max"


def test_a_silent_controller_has_its_limits_lifted(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=3000))
    rig.use(299)
    assert rig.quota() == "250000"
    rig.use(0.1)
    (lifted,) = rig.keeper.state().lifted
    assert lifted.reason == "controller-silent"
    assert rig.quota() == "max"


def test_an_agent_that_repeats_old_orders_does_not_stand_in_for_the_controller(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=3000))
    for heard in range(1, 330, 10):
        rig.keeper.set_limits(wish(cpu(2.5, left=3000), heard=heard))
        rig.use(10)
    assert rig.quota() == "max"
    (refused,) = rig.keeper.set_limits(wish(cpu(2.5, order="o2"), heard=400)).refused
    assert refused.promise == 2


def test_what_is_no_longer_named_is_lifted(rig: Rig) -> None:
    rig.hold(cpu(2.5), cpu(2.5, order="o2", tenant="birch"))
    state = rig.keeper.set_limits(wish(cpu(2.5, order="o2", tenant="birch")))
    assert [held.order for held in state.held] == ["o2"]
    assert state.lifted[0].reason == "withdrawn"
    assert (rig.quota("/alder"), rig.quota("/birch")) == ("max", "250000")


def test_another_allowance_changes_the_limit_and_not_what_stood_before(rig: Rig) -> None:
    knob = rig.kernel.knob("cpu-v1", "/alder")
    before = {"quota": "390000", "period": "100000", "burst": "5000"}
    rig.kernel.states[knob] = dict(before)
    rig.hold(cpu(2.5))
    rig.use(1)
    rig.keeper.set_limits(wish(cpu(2.2)))
    assert rig.quota() == "220000"
    rig.keeper.set_limits(wish())
    assert rig.kernel.read(knob) == before


def test_a_tighter_quota_of_somebody_else_stays(rig: Rig) -> None:
    knob = rig.kernel.knob("cpu-v1", "/alder")
    tighter = {**UNTOUCHED["cpu-v1"], "quota": "200000"}
    rig.kernel.states[knob] = dict(tighter)
    state = rig.hold(cpu(2.5))
    assert state.refused[0].promise == 3
    assert rig.kernel.read(knob) == tighter


def test_a_quota_that_somebody_changed_meanwhile_is_left_and_told(rig: Rig) -> None:
    rig.hold(cpu(2.5))
    knob = rig.kernel.knob("cpu-v1", "/alder")
    rig.kernel.states[knob]["quota"] = "123000"
    (lifted,) = rig.keeper.set_limits(wish()).lifted
    assert not lifted.restored
    assert "quota 123000" in lifted.detail
    assert rig.quota() == "123000"


def test_a_qdisc_of_somebody_else_is_never_replaced(rig: Rig) -> None:
    knob = rig.kernel.knob("shaper", "tap-alder")
    rig.kernel.states[knob] = {"root": "htb 1:"}
    state = rig.hold(net("net-in", 6e5, order="o3"))
    assert state.refused[0].promise == 3
    assert "htb 1:" in state.refused[0].reason
    assert rig.kernel.read(knob) == {"root": "htb 1:"}


def test_a_target_that_vanished_ends_its_limit_without_an_error(rig: Rig) -> None:
    rig.hold(net("net-out", 6e5, order="o3"))
    rig.kernel.remove("tap-alder")
    (lifted,) = rig.keeper.set_limits(wish(net("net-out", 6e5, order="o3"))).lifted
    assert (lifted.reason, lifted.restored) == ("target-gone", True)
    assert rig.kernel.states == {k: s for k, s in rig.kernel.states.items() if s["ifb"] == "none"}


def test_a_limit_follows_the_tenant_to_a_new_cgroup(rig: Rig) -> None:
    rig.hold(cpu(2.5))
    moved = TenantPlace(tenant="alder", weight=1, cgroups=("/alder2",))
    rig.keeper.set_limits(wish(cpu(2.5), places=(moved, BIRCH)))
    assert (rig.quota("/alder"), rig.quota("/alder2")) == ("max", "250000")


def test_two_cgroups_share_the_allowance_by_use_and_again_when_it_shifts(rig: Rig) -> None:
    both = TenantPlace(tenant="alder", weight=1, cgroups=("/alder", "/alder2"))
    request = wish(cpu(2.0), places=(both, BIRCH))
    rig.keeper.set_limits(request)
    rig.use(1, alder=3, alder2=0)
    assert (rig.quota("/alder"), rig.quota("/alder2")) == ("190000", "10000")
    rig.use(5, alder=1, alder2=1)
    rig.keeper.set_limits(request)
    assert (rig.quota("/alder"), rig.quota("/alder2")) == ("100000", "100000")


def test_at_most_the_set_number_of_limits_stand_at_a_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LimiterSettings(max_limits=1))
    first, second = cpu(2.5), cpu(2.5, order="o2", tenant="birch")
    rig.hold(first)
    state = rig.keeper.set_limits(wish(second, first))
    assert [held.order for held in state.held] == ["o1"]
    assert [(refused.order, refused.promise) for refused in state.refused] == [("o2", 8)]


def test_a_standing_limit_is_eased_when_the_fair_share_outgrows_it(rig: Rig) -> None:
    rig.hold(cpu(2.2))
    only = wish(cpu(2.2), places=(ALDER,))
    assert rig.keeper.set_limits(only).held[0].allowance.cores == 4
    assert rig.quota() == "400000"


def test_the_same_tenant_and_resource_cannot_be_ordered_twice(rig: Rig) -> None:
    state = rig.keeper.set_limits(wish(cpu(2.5), cpu(3, order="o2")))
    assert [refused.order for refused in state.refused] == ["o2"]


def test_a_withdrawn_order_cannot_be_revived_by_repeating_it(rig: Rig) -> None:
    rig.hold(cpu(2.5))
    rig.keeper.set_limits(wish())
    (refused,) = rig.keeper.set_limits(wish(cpu(2.5))).refused
    assert (refused.promise, "ended (withdrawn)" in refused.reason) == (2, True)


@pytest.mark.parametrize("reason", ["limiter-started", "lift-all"])
def test_a_new_process_lifts_first_and_the_order_keeps_its_first_end(
    rig: Rig, reason: LiftReason
) -> None:
    end = rig.clock.now + 60
    rig.hold(cpu(2.5, left=60))
    rig.restart().start(reason)
    assert rig.quota() == "max"
    assert [lifted.reason for lifted in rig.keeper.state().lifted] == [reason]
    state = rig.hold(cpu(2.5, left=1000))
    if reason == "lift-all":
        assert state.refused[0].promise == 2
        return
    assert rig.quota() == "250000"
    assert rig.keeper.next_due() == end


def test_after_a_reboot_nothing_is_written_to_the_new_kernel(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=60))
    rig.kernel.states.clear()
    rig.kernel.identities["/alder"] = 99
    rig.clock.now = 5
    rig.restart(boot="another").start("limiter-started")
    (lifted,) = rig.keeper.state().lifted
    assert (lifted.reason, lifted.restored) == ("limiter-started", True)
    assert "rebooted" in lifted.detail
    assert rig.kernel.states == {}
    assert rig.keeper.left_over() == []


def test_a_lift_that_the_kernel_does_not_take_is_tried_again(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=30))
    rig.kernel.broken = "busy"
    rig.use(30)
    assert rig.keeper.state().held[0].remaining_seconds == 0
    assert rig.keeper.next_due() is not None
    rig.kernel.broken = ""
    rig.use(1)
    assert rig.quota() == "max"
    assert [lifted.reason for lifted in rig.keeper.state().lifted] == ["lease-ended"]


def test_a_limit_that_cannot_be_applied_whole_is_not_applied_at_all(rig: Rig) -> None:
    rig.keeper.set_limits(wish(cpu(2.5)))
    rig.kernel.broken = "Invalid argument"
    rig.use(1)
    assert rig.keeper.state().held == ()
    assert rig.keeper.state().refused[0].reason == "Invalid argument"
    rig.kernel.broken = ""
    rig.keeper.tick()
    assert rig.kernel.touched() == {}
    assert rig.keeper.left_over() == []


def test_a_damaged_journal_does_not_stop_the_lifting(rig: Rig) -> None:
    rig.hold(cpu(2.5), cpu(2.5, order="o2", tenant="birch"))
    content = rig.path.read_bytes()
    rig.path.write_bytes(content.replace(b'"target":"/alder"', b'"target":"/alter"'))
    rig.restart().start("limiter-started")
    assert rig.keeper.damage is not None
    assert (rig.quota("/alder"), rig.quota("/birch")) == ("250000", "max")


def test_ended_orders_are_forgotten_when_nobody_can_name_them_with_time_left(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=30))
    rig.keeper.set_limits(wish())
    rig.clock.now += 86400 + 31
    rig.keeper.set_limits(wish())
    assert b"o1" not in rig.path.read_bytes()


def test_an_order_whose_tenant_is_not_there_is_refused(rig: Rig) -> None:
    order = msgspec.structs.replace(cpu(4), tenant="nobody")
    (refused,) = rig.keeper.set_limits(wish(order)).refused
    assert "no cgroup of tenant nobody" in refused.reason


def test_without_a_journal_nothing_new_is_limited_and_what_stands_is_still_lifted(rig: Rig) -> None:
    rig.hold(cpu(2.5, left=30))
    blocked = rig.path.with_name("journal.new")
    blocked.mkdir()
    state = rig.hold(cpu(2.2, left=30), cpu(2.5, order="o2", tenant="birch"))
    assert {refused.order for refused in state.refused} == {"o1", "o2"}
    assert "nothing is limited without it" in state.refused[0].reason
    assert (rig.quota("/alder"), rig.quota("/birch")) == ("250000", "max")
    rig.use(30)
    assert rig.quota("/alder") == "max"
    blocked.rmdir()
    rig.restart().start("limiter-started")
    assert rig.kernel.touched() == {}
