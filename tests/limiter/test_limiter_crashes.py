"""Power cut between any two steps: whatever starts next restores the kernel (promises 2 and 3)."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairuse_protocol.limits import TenantPlace
from tests.limiter.double import PowerCut, Steps
from tests.limiter.rig import BIRCH, Rig, cpu, net, wish

TWO = TenantPlace(
    tenant="alder", weight=1, cgroups=("/alder", "/alder2"), interfaces=("tap-alder",)
)
OWN_QUOTA = {"quota": "390000", "period": "50000", "burst": "7000"}
MOST_STEPS = 500


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """Memory where there is some: thousands of journals are synced, and none has to last."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        yield Path(directory)


def story(rig: Rig) -> None:
    """Everything that a limiter does to a kernel: put up, divide anew, change, withdraw, end."""
    rig.keeper.start("limiter-started")
    orders = (
        cpu(2.5, left=40),
        net("net-in", 6e5, order="o2"),
        net("net-out", 7e5, order="o3"),
        cpu(2.5, order="o4", tenant="birch"),
    )
    rig.keeper.set_limits(wish(*orders, places=(TWO, BIRCH)))
    rig.use(1, alder=3, alder2=0)
    rig.use(5, alder=1, alder2=1)
    changed = (cpu(2.2, left=40), net("net-in", 9e5, order="o2"), net("net-out", 9e5, order="o3"))
    rig.keeper.set_limits(wish(*changed, places=(TWO, BIRCH)))
    rig.use(40)
    rig.keeper.lift_all("limiter-stopped")


def prepared(directory: Path) -> Rig:
    rig = Rig(directory)
    rig.kernel.states[rig.kernel.knob("cpu-v1", "/birch")] = dict(OWN_QUOTA)
    return rig


def as_it_was(rig: Rig) -> None:
    assert {knob.target: state for knob, state in rig.kernel.touched().items()} == {
        "/birch": OWN_QUOTA
    }
    assert rig.keeper.left_over() == []
    assert all(lifted.restored for lifted in rig.keeper.state().lifted)


def test_the_story_itself_limits_and_restores(tmp_path: Path) -> None:
    rig = prepared(tmp_path)
    rig.restart(steps := Steps())
    story(rig)
    as_it_was(rig)
    assert len(rig.keeper.state().lifted) == 4
    assert 50 < steps.taken < MOST_STEPS


@pytest.mark.parametrize("second_cut", [None, 2, 5])
def test_a_cut_at_any_step_is_made_good_by_the_next_process(
    quick_disk: Path, second_cut: int | None
) -> None:
    """With a second cut, the process that makes good is itself cut, and the third one does."""
    for until in range(MOST_STEPS):
        directory = quick_disk / str(until)
        directory.mkdir()
        rig = prepared(directory)
        try:
            rig.restart(Steps(until))
            story(rig)
        except PowerCut:
            pass
        else:
            assert until > 50
            return
        if second_cut is not None:
            with contextlib.suppress(PowerCut):
                rig.restart(Steps(second_cut)).start("limiter-started")
        rig.restart().start("limiter-started")
        as_it_was(rig)
    pytest.fail("the story never came to its end")
