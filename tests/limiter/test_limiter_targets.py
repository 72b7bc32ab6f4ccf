"""What an order may name at all, whoever sends it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import Refused
from fairuse_agent.limiter.kernel.mounts import Mounts
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_agent.limiter.targets import Targets
from fairuse_protocol.limits import TenantPlace
from tests.limiter.test_kernel_contract import TC

ROUTES = (
    "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    "eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n"
    "tap1 0002000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
)
ROUTES_6 = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} 00000400 00000001 00000000 00000003 eth6\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for name, content in (
        ("self/cgroup", "3:cpu,cpuacct:/fairuse.slice/limiter.service\n0::/own/limiter\n"),
        ("net/route", ROUTES),
        ("net/ipv6_route", ROUTES_6),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    "cgroup",
    [
        "/",
        "/init.scope",
        "/system.slice",
        "/user.slice",
        "/machine.slice",
        "/own",
        "/own/limiter",
        "/fairuse.slice",
        "/fairuse.slice/limiter.service",
    ],
)
def test_the_hosts_groups_and_the_limiters_own_are_refused(proc: Path, cgroup: str) -> None:
    assert Targets(proc=proc).objection_to_cgroup(cgroup) is not None


@pytest.mark.parametrize(
    "cgroup", ["/machine.slice/vm.scope", "/own/lim", "/ow", "/own/limiter2", "/lxc/alder"]
)
def test_what_lies_below_and_beside_them_may_be_a_tenants(proc: Path, cgroup: str) -> None:
    assert Targets(proc=proc).objection_to_cgroup(cgroup) is None


@pytest.mark.parametrize(("name", "free"), [("lo", 0), ("eth0", 0), ("eth6", 0), ("tap1", 1)])
def test_the_interfaces_of_default_routes_are_refused(proc: Path, name: str, free: bool) -> None:
    assert (Targets(proc=proc).objection_to_interface(name) is None) == free


@pytest.mark.parametrize(
    ("pattern", "cgroup", "fits"),
    [
        ("/lxc/*", "/lxc/alder", True),
        ("/lxc/*", "/lxc/alder/inner", False),
        ("/lxc/*", "/lxc", False),
        ("/lxc/**", "/lxc/alder/inner", True),
        ("**/alder-*", "/a/b/alder-1", True),
        ("/a.slice/*", "/aXslice/x", False),
        ("**", "/any/where", True),
    ],
)
def test_only_cgroups_that_fit_the_list_are_limited(
    proc: Path, pattern: str, cgroup: str, fits: bool
) -> None:
    assert (Targets((pattern,), proc=proc).objection_to_cgroup(cgroup) is None) == fits


def test_only_interfaces_that_fit_the_list_are_limited(proc: Path) -> None:
    targets = Targets(interfaces=("tap*", "veth1"), proc=proc)
    assert targets.objection_to_interface("tap1") is None
    assert targets.objection_to_interface("veth1") is None
    assert "limiter.toml" in str(targets.objection_to_interface("veth10"))


@pytest.mark.parametrize("bad", [{"cgroups": ("/a**b",)}, {"interfaces": ("",)}])
def test_a_pattern_that_is_none_is_told_with_its_setting(bad: dict[str, tuple[str]]) -> None:
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name}: expected patterns such as"):
        LimiterSettings(**bad)  # type: ignore[arg-type]  # the names of two settings


def test_the_kernel_refuses_a_place_with_such_a_target(proc: Path) -> None:
    mounts = Mounts(v2=proc, v2_controllers=frozenset({"cpu"}))
    kernel = HostKernel(mounts, TC, Targets(proc=proc))
    place = TenantPlace(tenant="x", weight=1, cgroups=("/system.slice",), interfaces=("eth0",))
    for resource in ("cpu", "disk", "net-in", "net-out"):
        with pytest.raises(Refused) as refused:
            kernel.knobs(resource, place, ("sda",))
        assert refused.value.promise == 8


def test_names_that_no_kernel_takes_only_refuse_their_place(proc: Path) -> None:
    kernel = HostKernel(Mounts(v2=proc, v2_controllers=frozenset({"cpu"})), TC, Targets(proc=proc))
    for odd in ("/a\0b", "/" + "a" * 300, "/a" * 3000):
        assert not kernel.exists(TenantPlace(tenant="x", weight=1, cgroups=(odd,)))
    for odd in ("a\0b", "a" * 300, os.fsdecode(b"\xff")):
        assert not kernel.exists(TenantPlace(tenant="x", weight=1, interfaces=(odd,)))
