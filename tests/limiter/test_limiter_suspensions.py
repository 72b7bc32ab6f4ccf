"""An operator's suspension: by name, brief, leased, and thawed whatever happens."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from fairuse_agent.limiter.kernel.knobs import Knob
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import SetLimits, SuspendOrder
from fairuse_protocol.units import Duration
from tests.limiter.double import PowerCut, Steps
from tests.limiter.rig import ALDER, BIRCH, Rig, cpu


def suspend(
    order: str = "s1",
    *,
    tenant: str = "alder",
    left: float = 60,
    by: str = "ada",
    why: str = "ddos",
) -> SuspendOrder:
    return SuspendOrder(
        order=order, tenant=tenant, remaining_seconds=left, ordered_by=by, reason=why
    )


def wish(*orders: SuspendOrder, heard: float = 0) -> SetLimits:
    return SetLimits(
        orders=(),
        suspensions=orders,
        places=(ALDER, BIRCH),
        controller_heard_seconds_ago=heard,
    )


def knob(rig: Rig, target: str = "/alder") -> Knob:
    return rig.kernel.knob("freeze-v2", target)


def state(rig: Rig, target: str = "/alder") -> str:
    return rig.kernel.read(knob(rig, target))["state"]


def test_a_suspension_freezes_at_once_and_thaws_at_its_lease(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    told = rig.keeper.set_limits(wish(suspend(left=60)))
    assert [(one.tenant, one.ordered_by, one.reason) for one in told.suspended] == [
        ("alder", "ada", "ddos")
    ]
    assert (state(rig), state(rig, "/birch")) == ("frozen", "running")
    due = rig.keeper.next_due()
    assert due == rig.clock.now + 60
    rig.clock.now += 60
    rig.keeper.tick()
    assert state(rig) == "running"
    (lifted,) = rig.keeper.state().lifted
    assert (lifted.resource, lifted.reason, lifted.restored) == ("suspension", "lease-ended", True)


def test_no_suspension_is_longer_than_the_limiters_own_most(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LimiterSettings(max_suspension=Duration(120)))
    for _ in range(3):
        rig.keeper.set_limits(wish(suspend(left=3600)))
        rig.clock.now += 40
    rig.keeper.tick()
    assert state(rig) == "running"
    told = rig.keeper.set_limits(wish(suspend(left=3600)))
    assert "cannot be revived" in told.refused[0].reason
    assert state(rig) == "running"


@pytest.mark.parametrize(("by", "why"), [("", "ddos"), ("ada", " "), ("a" * 201, "ddos")])
def test_a_suspension_without_a_name_or_a_reason_is_refused(
    tmp_path: Path, by: str, why: str
) -> None:
    rig = Rig(tmp_path)
    told = rig.keeper.set_limits(wish(suspend(by=by, why=why)))
    assert told.refused[0].promise == 1
    assert not rig.kernel.touched()


def test_what_somebody_else_has_frozen_stays_frozen(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.kernel.states[knob(rig)] = {"state": "frozen"}
    told = rig.keeper.set_limits(wish(suspend()))
    assert told.refused[0].promise == 3
    assert "somebody else has frozen it" in told.refused[0].reason
    rig.keeper.lift_all("lift-all")
    assert state(rig) == "frozen"


def test_what_somebody_thaws_by_hand_stays_thawed_and_is_told(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.keeper.set_limits(wish(suspend()))
    rig.kernel.states[knob(rig)] = {"state": "running"}
    rig.keeper.set_limits(wish(suspend()))
    assert state(rig) == "running"
    assert rig.keeper.state().lifted[-1].reason == "withdrawn"


@pytest.mark.parametrize("end", ["withdrawn", "silence", "lift-all", "restart"])
def test_every_end_thaws(tmp_path: Path, end: str) -> None:
    rig = Rig(tmp_path)
    rig.keeper.set_limits(wish(suspend(left=600)))
    assert state(rig) == "frozen"
    if end == "withdrawn":
        rig.keeper.set_limits(wish())
    elif end == "silence":
        rig.clock.now += 301
        rig.keeper.tick()
    elif end == "lift-all":
        rig.keeper.lift_all("lift-all")
    else:
        rig.restart().start("limiter-started")
    assert state(rig) == "running"
    assert not rig.keeper.state().suspended


def test_suspensions_count_among_the_limits(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LimiterSettings(max_limits=1))
    rig.hold(cpu(2.5, tenant="birch"))
    told = rig.keeper.set_limits(
        SetLimits(
            orders=(cpu(2.5, tenant="birch"),),
            suspensions=(suspend(),),
            places=(ALDER, BIRCH),
            controller_heard_seconds_ago=0,
        )
    )
    assert [(one.order, one.promise) for one in told.refused] == [("s1", 8)]
    assert len(told.held) == 1


def test_a_power_cut_at_any_step_is_thawed_by_the_next_start(tmp_path: Path) -> None:
    for cut in range(8):
        rig = Rig(tmp_path / str(cut))
        (tmp_path / str(cut)).mkdir()
        keeper = rig.restart(Steps(cut))
        with contextlib.suppress(PowerCut):
            keeper.set_limits(wish(suspend()))
        rig.restart().start("limiter-started")
        assert state(rig) == "running", f"cut after step {cut}"
