"""Which interfaces lead to the world, and what speed is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairuse_agent.sampling.uplinks import find_uplinks, link_speed, queue_interfaces

ROUTES = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "{name}\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n"
    "other\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
)


class Machine:
    def __init__(self, folder: Path) -> None:
        self.proc, self.sys = folder / "proc", folder / "sys"
        (self.proc / "net").mkdir(parents=True)

    def interface(self, name: str, *entries: str, speed: str = "") -> None:
        for entry in entries:
            (self.sys / "class/net" / name / entry).mkdir(parents=True)
        (self.sys / "class/net" / name).mkdir(parents=True, exist_ok=True)
        if speed:
            (self.sys / "class/net" / name / "speed").write_text(speed)

    def default_route(self, name: str) -> None:
        (self.proc / "net/route").write_text(ROUTES.format(name=name))

    def uplinks(self, *configured: str) -> tuple[str, ...]:
        return find_uplinks(configured, self.proc, self.sys, lambda name: name.startswith("tap"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_default_routes_interface_is_the_uplink(machine: Machine) -> None:
    machine.default_route("eth0")
    assert machine.uplinks() == ("eth0",)


def test_an_ipv6_default_route_counts_but_not_the_rejecting_one(machine: Machine) -> None:
    zero = "0" * 32
    (machine.proc / "net/ipv6_route").write_text(
        f"{zero} 00 {zero} 00 fe80{zero[4:]} 400 1 0 3 eth1\n"
        f"{zero} 00 {zero} 00 {zero} ffffffff 1 0 200200 lo\n"
    )
    assert machine.uplinks() == ("eth1",)


def test_configured_uplinks_are_taken_as_they_are(machine: Machine) -> None:
    machine.default_route("eth0")
    assert machine.uplinks("wan0", "wan1") == ("wan0", "wan1")


def test_a_host_without_a_way_out_has_no_uplink(machine: Machine) -> None:
    assert machine.uplinks() == ()


def test_a_bridge_stands_for_its_ports_to_hardware(machine: Machine) -> None:
    machine.default_route("br0")
    machine.interface("br0", "brif/eth0", "brif/tap1i0", "brif/veth9")
    machine.interface("eth0", "device")
    machine.interface("veth9")
    assert machine.uplinks() == ("eth0",)


def test_packets_of_a_bond_queue_at_the_interfaces_below(machine: Machine) -> None:
    machine.interface("bond0", "lower_eth0", "lower_eth1")
    machine.interface("eth0", "device")
    machine.interface("eth1", "device")
    assert queue_interfaces(machine.sys, "bond0") == ("eth0", "eth1")
    assert queue_interfaces(machine.sys, "eth0") == ("eth0",)


@pytest.mark.parametrize(
    ("speed", "expected"), [("1000\n", 125e6), ("-1\n", None), ("", None), ("x", None)]
)
def test_speed_is_in_bytes_per_second_or_unknown(
    machine: Machine, speed: str, expected: float | None
) -> None:
    machine.interface("eth0", "device", speed=speed)
    assert link_speed(machine.sys, "eth0") == expected


def test_the_speed_of_a_virtual_interface_is_not_believed(machine: Machine) -> None:
    machine.interface("veth0", speed="10000\n")
    assert link_speed(machine.sys, "veth0") is None
