"""Units limited through a running systemd: held, restored exactly, and nobody's else touched.

Needs a host that systemd runs with cgroup v2 (the booted test host is one).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fairuse_agent.limiter.kernel.disks import whole_disks
from fairuse_protocol.limits import LimitOrder, SetLimits, SuspendOrder, TenantPlace
from fairuse_protocol.messages import Allowance
from tests.limiter import units
from tests.limiter.place import Limiter, limiter, run
from tests.limiter.units import BURN, READ, WRITE, cores, disks, number_of, shown, used

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not units.booted(), reason="this host lacks a running systemd on cgroup v2"),
]
SETTINGS = {"proof": '"500ms"', "max_silence": '"10m"'}
MEASURED_SECONDS = 10


def wish(unit: str, *orders: LimitOrder, disks: tuple[str, ...] = ()) -> SetLimits:
    place = TenantPlace(tenant="alder", weight=1, cgroups=(f"/system.slice/{unit}",))
    neighbours = [
        TenantPlace(tenant=cgroup, weight=1, cgroups=(cgroup,))
        for cgroup in ("/init.scope", "/system.slice/dbus.service", "/system.slice/ssh.service")
    ]
    return SetLimits(
        orders=orders,
        places=(place, *neighbours),
        controller_heard_seconds_ago=0,
        disks=disks,
        capacity_disk=Allowance(bytes_per_second=2e6, operations_per_second=200),
    )


def cpu(number: float) -> LimitOrder:
    return LimitOrder(
        order="o-cpu",
        tenant="alder",
        resource="cpu",
        allowance=Allowance(cores=number),
        fair_share=Allowance(cores=0.5),
        remaining_seconds=600,
    )


def disk(rate: float, *, operations: float | None = None) -> LimitOrder:
    return LimitOrder(
        order="o-disk",
        tenant="alder",
        resource="disk",
        allowance=Allowance(bytes_per_second=rate, operations_per_second=operations),
        fair_share=Allowance(bytes_per_second=1e6, operations_per_second=100),
        remaining_seconds=600,
    )


def hold(running: Limiter, request: SetLimits) -> None:
    """Order, and order again until the division has followed the use."""
    for _ in range(3):
        running.ask(request)
        time.sleep(1.5)
    state = running.ask(request)
    assert len(state.held) == len(request.orders), state


def rate(counter: Callable[..., float], *arguments: str) -> float:
    before, began = counter(*arguments), time.monotonic()
    time.sleep(MEASURED_SECONDS)
    return (counter(*arguments) - before) / (time.monotonic() - began)


@pytest.mark.parametrize("kind", ["service", "scope", "slice"])
def test_a_units_cpu_is_held_and_comes_back(kind: str) -> None:
    with units.service(BURN, kind=kind) as unit, limiter(**SETTINGS) as running:
        before = shown(unit)
        hold(running, wish(unit, cpu(0.5)))
        run("systemctl", "daemon-reload")
        assert rate(cores, unit) == pytest.approx(0.5, rel=0.1)
        running.ask(wish(unit))
        assert shown(unit) == before


@pytest.mark.parametrize(
    ("kind", "program"), [("service", READ), ("scope", WRITE), ("slice", READ)]
)
def test_a_units_disk_use_is_held_and_comes_back(kind: str, program: str) -> None:
    with disks(1) as (node,), units.service(program, node, kind=kind) as unit:
        before = shown(unit)
        with limiter(**SETTINGS) as running:
            request = wish(unit, disk(4e6), disks=(node,))
            hold(running, request)
            assert rate(used, unit, node) == pytest.approx(4e6, rel=0.1)
            running.ask(wish(unit, disk(8e6, operations=40_000), disks=(node,)))
            run("systemctl", "daemon-reload")
            assert f"{number_of(node)} rbps=" in (units.SLICE / unit / "io.max").read_text()
            running.ask(wish(unit, disks=(node,)))
        assert shown(unit) == before


def test_several_disks_together_stay_within_the_order() -> None:
    program = f"import os, sys\nif os.fork():\n    sys.argv[1] = sys.argv[2]\nexec({READ!r})"
    with disks(2) as nodes, units.service(program, *nodes) as unit:
        before = shown(unit)
        with limiter(**SETTINGS) as running:
            hold(running, wish(unit, disk(6e6), disks=tuple(nodes)))
            assert rate(lambda: sum(used(unit, node) for node in nodes)) == pytest.approx(
                6e6, rel=0.1
            )
            run("losetup", "-d", nodes[0])
        assert shown(unit) == before


def test_a_disk_that_comes_is_limited_and_one_that_goes_is_let_go() -> None:
    with disks(2) as nodes, units.service(READ, nodes[0]) as unit, limiter(**SETTINGS) as running:
        before = shown(unit)
        hold(running, wish(unit, disk(4e6), disks=(nodes[0],)))
        hold(running, wish(unit, disk(4e6), disks=tuple(nodes)))
        assert all(number_of(node) in (units.SLICE / unit / "io.max").read_text() for node in nodes)
        hold(running, wish(unit, disk(4e6), disks=(nodes[0],)))
        told = (units.SLICE / unit / "io.max").read_text()
        assert f"{number_of(nodes[1])} rbps=" not in told
        running.ask(wish(unit))
        assert shown(unit) == before


def test_what_others_set_for_the_disk_by_another_name_and_for_others_comes_back() -> None:
    with disks(2) as (node, other), units.unit_file(READ, node) as unit:
        link = Path(f"/dev/block/{number_of(node)}")
        run("systemctl", "set-property", "--runtime", unit, f"IOReadBandwidthMax={link} 50M")
        run("systemctl", "set-property", "--runtime", unit, f"IOWriteIOPSMax={other} 77")
        before = shown(unit)
        with limiter(**SETTINGS) as running:
            hold(running, wish(unit, disk(4e6), disks=(node,)))
            assert any(f"IOReadBandwidthMax={link}" in line for line in shown(unit))
            assert f"{other} 77" in "\n".join(shown(unit))
            assert rate(used, unit, node) == pytest.approx(4e6, rel=0.1)
        assert shown(unit) == before


@pytest.mark.parametrize("lasting", [False, True])
def test_an_operators_own_setting_in_the_middle_stays_and_is_told(lasting: bool) -> None:
    with disks(1) as (node,), units.unit_file(READ, node) as unit, limiter(**SETTINGS) as running:
        hold(running, wish(unit, disk(4e6), disks=(node,)))
        how = () if lasting else ("--runtime",)
        run("systemctl", "set-property", *how, unit, f"IOReadBandwidthMax={node} 3M")
        time.sleep(1)
        state = running.ask(wish(unit, disk(4e6), disks=(node,)))
        assert not state.held
        assert "somebody else changed it" in state.lifted[-1].detail
        assert (units.SLICE / unit / "io.max").read_text().split()[1:] == [
            "rbps=3000000",
            "wbps=max",
            "riops=max",
            "wiops=max",
        ]


def test_a_setting_for_another_disk_does_not_make_ours_last() -> None:
    """systemd writes the whole list down when an operator sets one disk for good."""
    with disks(2) as (node, other), units.unit_file(READ, node) as unit:
        with limiter(**SETTINGS) as running:
            hold(running, wish(unit, disk(4e6), disks=(node,)))
            run("systemctl", "set-property", unit, f"IOReadBandwidthMax={other} 9M")
        run("systemctl", "daemon-reload")
        told = "\n".join(shown(unit))
        assert f"IOReadBandwidthMax={other} 9000000" in told
        assert node not in told.replace(other, "")


def test_a_limit_follows_a_restart_and_a_stop_leaves_nothing() -> None:
    with disks(1) as (node,), units.unit_file(READ, node) as unit:
        before = shown(unit)
        with limiter(**SETTINGS) as running:
            request = wish(unit, disk(4e6), disks=(node,))
            hold(running, request)
            run("systemctl", "restart", unit)
            hold(running, request)
            assert rate(used, unit, node) == pytest.approx(4e6, rel=0.1)
            run("systemctl", "stop", unit)
            state = running.ask(request)
            assert state.lifted[-1].reason == "target-gone"
            run("systemctl", "start", unit)
            assert shown(unit) == before


def test_a_killed_limiters_limits_are_lifted_by_the_next() -> None:
    with disks(1) as (node,), units.unit_file(READ, node) as unit:
        before = shown(unit)
        with limiter(**SETTINGS) as running:
            hold(running, wish(unit, disk(4e6), disks=(node,)))
            assert shown(unit) != before
            running.kill()
            assert shown(unit) != before
            running.start()
            assert shown(unit) == before


def test_disks_below_lvm_on_raid_are_the_ones_limited() -> None:
    """Mirroring writes twice: an order of X bytes/s is shared by the mirrors' disks."""
    with disks(2) as nodes:
        name = f"fairuse{nodes[0][-1]}"
        array = f"/dev/md/{name}"
        subprocess.run(["modprobe", "raid1"], check=False)
        run("mdadm", "--create", array, "--run", "--level=1", "--metadata=1.2",
            "--raid-devices=2", "--assume-clean", *nodes)  # fmt: skip
        try:
            run("vgcreate", "-qq", name, array)
            run("lvcreate", "-qq", "-y", "-L", "32M", "-n", "v", name)
            volume = f"/dev/{name}/v"
            assert whole_disks((volume,)) == tuple(number_of(node) for node in nodes)
            with units.service(WRITE, volume) as unit, limiter(**SETTINGS) as running:
                before = shown(unit)
                hold(running, wish(unit, disk(4e6), disks=(volume,)))
                together = rate(lambda: sum(used(unit, node) for node in nodes))
                assert together == pytest.approx(4e6, rel=0.1)
                running.ask(wish(unit))
                assert shown(unit) == before
        finally:
            subprocess.run(["vgremove", "-qq", "-f", name], check=False)
            subprocess.run(["mdadm", "--stop", array], capture_output=True, check=False)


def test_the_disk_below_dm_crypt_is_the_one_limited() -> None:
    with disks(1) as (node,):
        name = f"fairuse-{node.rpartition('/')[2]}"
        cipher = ["--cipher=aes-xts-plain64", "--key-size=256", "--key-file=/dev/urandom"]
        run("cryptsetup", "open", "--type=plain", *cipher, node, name)
        try:
            volume = f"/dev/mapper/{name}"
            assert whole_disks((volume,)) == (number_of(node),)
            with units.service(READ, volume) as unit, limiter(**SETTINGS) as running:
                before = shown(unit)
                hold(running, wish(unit, disk(4e6), disks=(volume,)))
                assert rate(used, unit, node) == pytest.approx(4e6, rel=0.1)
                running.ask(wish(unit))
                assert shown(unit) == before
        finally:
            run("cryptsetup", "close", name)


def test_a_suspended_unit_is_frozen_by_systemd_and_goes_on_afterwards() -> None:
    with units.service(BURN) as unit, limiter(**SETTINGS) as running:
        before = shown(unit)
        order = SuspendOrder(
            order="s1", tenant="alder", remaining_seconds=60, ordered_by="ada", reason="a test"
        )
        request = msgspec.structs.replace(wish(unit), suspensions=(order,))
        assert running.ask(request).suspended[0].targets == (f"/system.slice/{unit}",)
        assert "FreezerState=frozen" in shown(unit)
        stood = cores(unit)
        time.sleep(2)
        assert cores(unit) - stood < 0.05
        running.ask(wish(unit))
        assert shown(unit) == before
