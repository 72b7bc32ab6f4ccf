"""LXC, nspawn and Proxmox: names in the shape that each of them gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairuse_agent.settings import AgentSettings, Discovery, TenantRule
from fairuse_agent.tenancy.discovery.elsewhere import counted_at
from fairuse_agent.tenancy.discovery.kind import Finding, unescaped
from fairuse_agent.tenancy.discovery.lxc import Lxc
from fairuse_agent.tenancy.discovery.nspawn import Nspawn
from fairuse_agent.tenancy.discovery.proxmox import Guest, Proxmox, parse_guest
from tests.tenancy.discovery.trees import Tree

VM_CONF = """\
#web server of Acme%3A do not stop
boot: order=scsi0;net0
cores: 4
memory: 8192
name: acme-web
net0: virtio=BC:24:11:4F:6E:01,bridge=vmbr0,firewall=1
parent: before
scsi0: local-lvm:vm-101-disk-0,size=32G
sockets: 2

[PENDING]
cores: 8

[before]
cores: 1
name: acme-old
sockets: 1
"""

CT_CONF = """\
arch: amd64
cores: 2
hostname: blog
memory: 512
net0: name=eth0,bridge=vmbr0,firewall=1,hwaddr=BC:24:11:00:00:05,ip=dhcp,type=veth
rootfs: local-lvm:vm-105-disk-0,size=8G
unprivileged: 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "cgroup")


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        pytest.param("web", "web", id="plain"),
        pytest.param(r"web\x2d1", "web-1", id="dash"),
        pytest.param(r"caf\xc3\xa9", "café", id="two-bytes-are-one-letter"),
        pytest.param(r"a\x5cx2d", r"a\x2d", id="escaped-once-only"),
    ],
)
def test_what_systemd_escaped_comes_out_as_it_was(escaped: str, name: str) -> None:
    assert unescaped(escaped) == name


def test_lxc_containers_are_found_under_both_of_their_names(tree: Tree) -> None:
    tree.make("lxc.payload.blog", cpu_weight=200)
    tree.make("lxc.monitor.blog", "lxc.pivot", "lxc/old")
    tree.switch_on(Lxc(tree.shares))
    assert tree.look() == {"/lxc.payload.blog": "blog", "/lxc/old": "old"}
    assert tree.owner("/lxc.payload.blog").weight == 2
    assert "cpu.weight 200" in tree.owner("/lxc.payload.blog").why
    assert tree.owner("/lxc/old").weight == 1


def test_nspawn_machines_are_found_as_services_and_as_scopes(tree: Tree) -> None:
    tree.make(
        "machine.slice/systemd-nspawn@shop.service/payload",
        r"machine.slice/systemd-nspawn@shop\x2dtwo.service",
        r"machine.slice/machine-by\x2dhand.scope",
    )
    tree.switch_on(Nspawn(tree.shares))
    assert sorted(tree.look().values()) == ["by-hand", "shop", "shop-two"]


def test_what_libvirt_registers_beside_them_is_no_nspawn_machine(tree: Tree) -> None:
    tree.make(
        r"machine.slice/machine-qemu\x2d1\x2dweb.scope",
        r"machine.slice/machine-lxc\x2d4711\x2dweb.scope",
        "machine.slice/libpod-4f1c.scope",
    )
    tree.switch_on(Nspawn(tree.shares))
    assert tree.look() == {}


def test_a_proxmox_guest_runs_with_the_first_section_of_its_configuration() -> None:
    assert parse_guest(VM_CONF) == Guest("acme-web", 8)
    assert parse_guest(VM_CONF.replace("sockets: 2\n\n", "sockets: 2\nvcpus: 3\n\n")).cores == 3
    assert parse_guest(CT_CONF) == Guest("blog", 2)
    assert parse_guest("hostname: all-cores\n").cores == 0
    assert parse_guest("name: one-core\n").cores == 1


def test_proxmox_guests_have_their_numbers_and_cores(tree: Tree, tmp_path: Path) -> None:
    pve = tmp_path / "pve"
    (pve / "qemu-server").mkdir(parents=True)
    (pve / "lxc").mkdir()
    (pve / "qemu-server/101.conf").write_text(VM_CONF)
    (pve / "lxc/105.conf").write_text(CT_CONF)
    tree.make("qemu.slice/101.scope", "lxc/105/ns", "lxc.monitor/105", "lxc/not-proxmox")
    tree.make("qemu.slice/102.scope", cpu_weight=300)
    proxmox = Proxmox(pve, tree.shares)
    tree.switch_on(proxmox)
    tree.look()
    tree.look()  # In case a configuration took longer than a round waits.
    proxmox.close()
    assert {path: (o.tenant, o.weight) for path, o in tree.cgroups.owners.items()} == {
        "/qemu.slice/101.scope": ("101", 8),
        "/qemu.slice/102.scope": ("102", 3),
        "/lxc/105": ("105", 2),
    }
    assert "acme-web" in tree.owner("/qemu.slice/101.scope").why
    assert not proxmox.notes(), "a guest without a configuration here has none to read"


def test_proxmox_says_when_it_may_not_read_how_many_cores_there_are(
    tree: Tree, tmp_path: Path
) -> None:
    # A folder in the configuration's place cannot be read by root either.
    (tmp_path / "pve/qemu-server/101.conf").mkdir(parents=True)
    tree.make("qemu.slice/101.scope")
    proxmox = Proxmox(tmp_path / "pve", tree.shares)
    tree.switch_on(proxmox)
    assert tree.look() == {"/qemu.slice/101.scope": "101"}
    proxmox.close()
    (note,) = proxmox.notes()
    assert "weights are CPU shares" in note
    assert "101.conf" in note


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        ("tap101i0", "101"),
        ("veth105i12", "105"),
        ("fwpr101p0", None),
        ("fwln101i0", None),
        ("fwbr101i0", None),
        ("tap4f1c2d3e-0b", None),
        ("vmbr0", None),
    ],
)
def test_only_a_proxmox_guests_own_end_of_a_link_counts(
    tree: Tree, tmp_path: Path, name: str, tenant: str | None
) -> None:
    tree.switch_on(Proxmox(tmp_path, tree.shares))
    owner = tree.ownership.owner_of_interface(name)
    assert (owner.tenant if owner else None) == tenant


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("fwpr101p0", "tap101i0 or veth101i0"),
        ("fwln105i1", "tap105i1 or veth105i1"),
        ("qvo4f1c2d3e-0b", "tap4f1c2d3e-0b"),
        ("qbr4f1c2d3e-0b", "tap4f1c2d3e-0b"),
        ("tap4f1c2d3e-0b", ""),
        ("qvo-mine", ""),
    ],
)
def test_pairs_that_carry_the_same_packets_are_told_apart(name: str, where: str) -> None:
    assert counted_at(name) == where


def test_rules_come_first_and_weights_of_single_tenants_last(tree: Tree) -> None:
    tree.make("lxc.payload.blog", cpu_weight=200)
    tree.make("lxc.payload.shop", "lxc.payload.pbx", "lxc.payload.infra")
    settings = AgentSettings(
        tenants=(TenantRule(cgroup="/lxc.payload.sh{tenant}", weight=7),),
        weights={"pbx": 5},
        discovery=Discovery(not_tenants=("infra",)),
    )
    tree.switch_on(Lxc(tree.shares), settings=settings)
    tree.look()
    assert {owner.tenant: owner.weight for owner in tree.cgroups.owners.values()} == {
        "blog": 2,
        "op": 7,
        "pbx": 5,
    }
    assert tree.owner("/lxc.payload.shop").source == "tenants[0]"
    assert tree.owner("/lxc.payload.pbx").source == "lxc"
    assert '"infra" is in not_tenants' in tree.ownership.why_not("/lxc.payload.infra")


def test_two_kinds_that_fit_are_asked_in_the_order_of_discover(tree: Tree, tmp_path: Path) -> None:
    tree.make("lxc/105")
    tree.switch_on(Proxmox(tmp_path, tree.shares), Lxc(tree.shares))
    tree.look()
    assert tree.owner("/lxc/105").source == "proxmox"
    tree.switch_on(Lxc(tree.shares), Proxmox(tmp_path, tree.shares))
    tree.look()
    assert tree.owner("/lxc/105").source == "lxc"


def test_a_guest_that_starts_is_known_at_the_next_look_and_old_ones_are_not_read_again(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.make("lxc.payload.a", cpu_weight=100)
    lxc = Lxc(tree.shares)
    tree.switch_on(lxc)
    tree.look()
    asked: list[str] = []
    of_cgroup = lxc.of_cgroup

    def noted(path: str) -> Finding | None:
        asked.append(path)
        return of_cgroup(path)

    monkeypatch.setattr(lxc, "of_cgroup", noted)
    tree.make("lxc.payload.b", cpu_weight=100)
    assert tree.look() == {"/lxc.payload.a": "a", "/lxc.payload.b": "b"}
    assert asked == ["/lxc.payload.b"]


def test_changed_shares_are_seen_once_things_are_read_again(tree: Tree) -> None:
    tree.make("lxc.payload.a", cpu_weight=100)
    tree.switch_on(Lxc(tree.shares))
    tree.look()
    tree.make("lxc.payload.a", cpu_weight=400)
    tree.look()
    assert tree.weight("a") == 1
    tree.ownership.read_again()
    tree.look()
    assert tree.weight("a") == 4


def test_a_group_that_gets_only_what_is_idle_has_a_weight_over_zero(tree: Tree) -> None:
    tree.make("lxc.payload.idle", cpu_weight=0)
    tree.switch_on(Lxc(tree.shares))
    tree.look()
    assert tree.weight("idle") == pytest.approx(0.01)


def test_shares_of_v1_are_read_where_v2_has_no_cpu_controller(tmp_path: Path) -> None:
    from fairuse_agent.tenancy.discovery.shares import CpuShares

    (tmp_path / "v1/lxc/a").mkdir(parents=True)
    (tmp_path / "v1/lxc/a/cpu.shares").write_text("2048\n")
    weight, why = CpuShares(tmp_path / "v2", tmp_path / "v1").weight("/lxc/a")
    assert (weight, why) == (2.0, "cpu.shares 2048")
