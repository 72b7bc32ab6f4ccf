"""What is particular to one way of turning a knob: tc's rates, nested quotas, disks, units."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from fairuse_agent.limiter.kernel import netlink, systemd, tcattr, traffic
from fairuse_agent.limiter.kernel.disks import arm_disk_counters, real_disks, whole_disks
from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import Mounts, checked, read_mounts
from fairuse_agent.limiter.kernel.probe import describe, probe
from fairuse_protocol.limits import TenantPlace
from tests.limiter.place import cgroup, link, remove_group, run
from tests.limiter.test_kernel_contract import TC

RATES = [125_000, 625_000, 125_000_000, 4_300_000_000, 7_500_000_000]
"""1 Mbit/s to 60 Gbit/s, the last two beyond what 32 bits hold."""


def _figure(words: list[str], name: str) -> float:
    """One of tc's figures, such as "rate 1Mbit" or "burst 2500Kb": tc class has no JSON."""
    units = {"bit": 1, "Kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9, "b": 1, "Kb": 1024, "Mb": 2**20}
    text = words[words.index(name) + 1]
    digits = text.rstrip("KMGbit")
    return float(digits) * units[text.removeprefix(digits)]


@pytest.mark.kernel
@pytest.mark.parametrize("rate", RATES)
def test_a_shaper_has_the_rate_that_tc_reads_back(rate: int) -> None:
    kernel = HostKernel(probed=TC)
    with link() as (_, interface):
        knob = Knob(kind="shaper", target=interface, identity=traffic.index_of(interface))
        kernel.write(knob, kernel.fields(knob, {"bytes": rate}, kernel.read(knob)))
        qdiscs = json.loads(run("tc", "-j", "qdisc", "show", "dev", interface))
        assert [(each["kind"], each["handle"]) for each in qdiscs] == [
            ("htb", "fa1e:"),
            ("bfifo", "fa1f:"),
        ]
        told = run("tc", "class", "show", "dev", interface).split()
        assert told[:6] == ["class", "htb", "fa1e:1", "root", "leaf", "fa1f:"]
        for name in ("rate", "ceil"):
            assert _figure(told, name) / 8 == pytest.approx(rate, rel=0.001)
        for name in ("burst", "cburst"):
            ticks_worth = min(rate / 250, 2**28)
            assert _figure(told, name) >= ticks_worth, "a timer tick's worth at HZ=250"
        assert kernel.read(knob)["rate"] == str(rate)


@pytest.mark.kernel
@pytest.mark.parametrize("length", ["0", "500", "1000"])
def test_a_shaper_gives_the_interfaces_queue_length_back(length: str) -> None:
    kernel = HostKernel(probed=TC)
    with link() as (_, interface):
        run("ip", "link", "set", interface, "txqueuelen", length)
        knob = Knob(kind="shaper", target=interface, identity=traffic.index_of(interface))
        before = kernel.read(knob)
        kernel.write(knob, kernel.fields(knob, {"bytes": 1e6}, before))
        kernel.write(knob, before)
        assert kernel.read(knob) == before
        assert Path(f"/sys/class/net/{interface}/tx_queue_len").read_text().strip() == length


@pytest.mark.kernel
def test_the_queues_of_a_multi_queue_interface_come_back() -> None:
    kernel = HostKernel(probed=TC)
    with link() as (_, interface):
        run("ip", "link", "del", interface)
        several = ("numtxqueues", "4", "numrxqueues", "4")
        peer = ("peer", "name", "eth0", "netns", interface)
        run("ip", "link", "add", interface, *several, "type", "veth", *peer)
        run("ip", "link", "set", interface, "txqueuelen", "500")
        run("tc", "qdisc", "replace", "dev", interface, "root", "handle", "1:", "mq")
        knob = Knob(kind="shaper", target=interface, identity=traffic.index_of(interface))
        named = kernel.read(knob)
        assert named["root"] == "mq 1:", "somebody's own mq is not the kernel's"
        with pytest.raises(Refused):
            kernel.fields(knob, {"bytes": 1e6}, named)
        run("tc", "qdisc", "del", "dev", interface, "root")
        run("ip", "link", "set", interface, "up")
        before = run("tc", "qdisc", "show", "dev", interface)
        default = kernel.read(knob)
        kernel.write(knob, kernel.fields(knob, {"bytes": 1e6}, default))
        assert "fa1e:" in run("tc", "qdisc", "show", "dev", interface)
        kernel.write(knob, default)
        assert run("tc", "qdisc", "show", "dev", interface) == before


@pytest.mark.parametrize("rate", RATES)
def test_a_policer_drops_what_exceeds_and_knows_merged_packets(rate: int) -> None:
    """By the layout of struct tc_police: this kernel has none to ask."""
    options = tcattr.matchall(tcattr.police(rate, 200_000, 65_536))
    assert tcattr.action_of("matchall", options) == f"police {rate}"
    action = tcattr.attributes(tcattr.attributes(options)[2])[1]
    details = tcattr.attributes(tcattr.attributes(action)[2])
    index, does, limit, burst, mtu = struct.unpack_from("=IiIII", details[1])
    assert (index, does, limit, mtu) == (0, 2, 0, 65_536)
    assert burst * 64 / 1e9 == pytest.approx(200_000 / rate, abs=1e-7)
    assert len(details[1]) == 56
    assert len(details[2]) == 1024


@pytest.mark.kernel
def test_the_probe_finds_a_way_and_leaves_nothing() -> None:
    before = run("ip", "-o", "link") + run("tc", "qdisc", "show")
    ways = describe(probe())
    assert ways["net-in"] == "htb"
    assert ways["net-out"].startswith(("police", "ifb + htb"))
    assert "fairuse-probe" not in run("ip", "-o", "link") + run("tc", "qdisc", "show"), before


@pytest.mark.kernel
def test_a_quota_under_a_childs_own_is_explained_on_cgroup_v1() -> None:
    root = read_mounts().v1.get("cpu")
    if root is None:
        pytest.skip("this kernel lacks a cgroup v1 cpu hierarchy")
    with cgroup() as path:
        child = Path(f"{root}{path}/child")
        child.mkdir()
        try:
            (child / "cpu.cfs_quota_us").write_text("90000")
            kernel = HostKernel(probed=TC)
            place = TenantPlace(tenant="alder", weight=1, cgroups=(path,))
            (knob,) = kernel.knobs("cpu", place, ())
            wanted = kernel.fields(knob, {"cores": 0.5}, kernel.read(knob))
            with pytest.raises(KernelError, match="a group below it has a larger quota"):
                kernel.write(knob, wanted)
        finally:
            remove_group(child)


@pytest.mark.kernel
def test_arming_makes_cgroup_v1_count_and_leaves_no_group() -> None:
    mounts = read_mounts()
    if "blkio" not in mounts.v1:
        pytest.skip("this kernel lacks a cgroup v1 blkio hierarchy")
    assert arm_disk_counters(mounts) == tuple(real_disks())
    blkio = mounts.v1["blkio"]
    assert not list(blkio.glob("fairuse-limiter-arming"))
    file = Path("/var/tmp/fairuse-lim-armed")
    counter = blkio / "blkio.throttle.io_serviced_recursive"
    before = counter.read_text()
    try:
        run("dd", "if=/dev/zero", f"of={file}", "bs=4096", "count=64", "oflag=direct")
    finally:
        file.unlink(missing_ok=True)
    assert counter.read_text() != before


def test_disks_below_partitions_and_mapped_devices_are_found_once(tmp_path: Path) -> None:
    def device(path: str, number: str) -> Path:
        directory = tmp_path / "devices" / path
        (directory / "slaves").mkdir(parents=True)
        (directory / "dev").write_text(number + "\n")
        (tmp_path / "class/block").mkdir(parents=True, exist_ok=True)
        (tmp_path / "class/block" / directory.name).symlink_to(directory)
        return directory

    device("sda", "8:0")
    partition = device("sda/sda1", "8:1")
    (partition / "partition").write_text("1\n")
    device("sdb", "8:16")
    mapped = device("dm-0", "253:0")
    for lower in ("sda/sda1", "sdb"):
        (mapped / "slaves" / Path(lower).name).symlink_to(tmp_path / "devices" / lower)
    assert whole_disks(("sda1",), tmp_path) == ("8:0",)
    assert whole_disks(("/dev/dm-0", "sdb"), tmp_path) == ("8:0", "8:16")
    with pytest.raises(Refused, match="no block device"):
        whole_disks(("sdz",), tmp_path)


@pytest.mark.parametrize("name", ["", "..", ".", "/dev/..", "a\0b", "x" * 300, "/dev/" + "x" * 300])
def test_a_name_that_cannot_be_a_disks_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        whole_disks((name,))


@pytest.mark.parametrize(
    "path",
    ["/", "", "alder", "/a/../b", "/a//b", "/a/", "/a\0b", "/" + "a" * 256, "/a" * 1501],
)
def test_only_plain_paths_below_the_root_group_are_taken(path: str) -> None:
    with pytest.raises(Refused):
        checked(path)


@pytest.mark.parametrize("interface", ["lo", "", "../../x", "a" * 16, "a\0b", ".", ".."])
def test_an_interface_that_cannot_be_a_tenants_is_refused(interface: str) -> None:
    with pytest.raises(Refused):
        traffic.index_of(interface)


def test_hybrid_mounts_are_told_apart(tmp_path: Path) -> None:
    unified = tmp_path / "unified"
    unified.mkdir()
    (unified / "cgroup.controllers").write_text("\n")
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "cgroup /c/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /c/blkio cgroup rw,blkio 0 0\n"
        f"cgroup2 {unified} cgroup2 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
    )
    found = read_mounts(mounts)
    assert found.root_of("cpu", "cpu") == (Path("/c/cpu"), 1)
    assert found.root_of("io", "blkio") == (Path("/c/blkio"), 1)
    assert found.v2 == unified


@pytest.mark.parametrize(
    ("cgroup_path", "unit"),
    [
        ("/machine.slice/machine-qemu\\x2d1\\x2dnoisy.scope", "machine-qemu\\x2d1\\x2dnoisy.scope"),
        ("/user.slice/user-1000.slice", "user-1000.slice"),
        ("/tenants/alder", None),
        ("/lxc/alder/system.slice/ssh.service", None),
    ],
)
def test_a_unit_is_known_by_its_cgroup_where_systemd_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup_path: str, unit: str | None
) -> None:
    assert systemd.unit_of(cgroup_path, None) is None or systemd.RUNNING.is_dir()
    monkeypatch.setattr(systemd, "RUNNING", tmp_path)
    assert systemd.unit_of(cgroup_path, None) == unit


def test_a_group_inside_a_unit_that_is_not_delegated_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "RUNNING", tmp_path)
    with pytest.raises(Refused, match="has not delegated: limit the unit itself"):
        systemd.unit_of("/machine.slice/vm.scope/libvirt/vcpu0", tmp_path)


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/docker-abc.scope/tenants/alder", None),
        ("/system.slice/docker-abc.scope/system.slice/ssh.service", None),
        ("/system.slice/docker-abc.scope", "docker-abc.scope"),
    ],
)
def test_what_lies_inside_a_delegated_unit_is_no_unit_of_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, unit: str | None
) -> None:
    monkeypatch.setattr(systemd, "RUNNING", tmp_path)
    monkeypatch.setattr(systemd, "_delegated", lambda group: group.name == "docker-abc.scope")
    assert systemd.unit_of(path, tmp_path) == unit


def test_a_unit_name_inside_a_service_that_is_not_delegated_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "RUNNING", tmp_path)
    with pytest.raises(Refused, match=r"lies inside a\.service"):
        systemd.unit_of("/system.slice/a.service/b.service", tmp_path)


def test_a_unit_is_refused_with_the_reason_where_pystemd_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "RUNNING", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    kernel = HostKernel(Mounts(v2=tmp_path, v2_controllers=frozenset({"cpu"})), TC)
    place = TenantPlace(tenant="alder", weight=1, cgroups=("/a.slice",))
    with pytest.raises(Refused, match=r"pystemd.*is not installed"):
        kernel.knobs("cpu", place, ())


@pytest.mark.kernel
def test_options_stay_bytes_where_pyroute2_was_used_for_qdiscs_before() -> None:
    by_hand = ("rate", "1mbit", "burst", "8k")
    tcmsg().compile_nla_table()
    with link() as (_, interface):
        index = socket.if_nametoindex(interface)
        run("tc", "qdisc", "add", "dev", interface, "root", "handle", "1:", "htb")
        run(
            "tc",
            "class",
            "add",
            "dev",
            interface,
            "parent",
            "1:",
            "classid",
            "1:1",
            "htb",
            *by_hand,
        )
        (found,) = netlink.classes(index)
    assert found.kind == "htb"
    assert tcattr.htb_class_rate(found.options) == 125_000
