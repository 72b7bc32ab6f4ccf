"""A real libvirt domain, software emulation inside whatever the test host is, limited by libvirt.

It has no operating system: the 512 bytes of a boot sector burn CPU, read its disk or send for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairuse_protocol.limits import GetState, LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance
from tests.booted import lone_limiter
from tests.booted.test_tc import bits
from tests.testhost.host import Host

INSIDE = Path(__file__).with_name("inside_libvirt.py").read_text()
BURN = bytes.fromhex("ebfe")
"""jmp $"""
READ = bytes.fromhex("31c08ed8be0d7cb442cd13ebf7") + bytes.fromhex(
    "10004000000000100000000000000000"
)
"""xor ax,ax; mov ds,ax; again: mov si,packet; mov ah,42h (BIOS: extended read); int 13h;
jmp again; packet: 64 sectors from the first on, to 1000:0000."""
SEND = bytes.fromhex(
    "31c08ed8"
    "b802b1b93981baec1031f6cd1a"
    "b80cb1bf0400b90700cd1a"
    "b809b1bf1000cd1a"
    "83e1fc89cd8d5637b004ee31f6"
    "8d522066b8567c000066ef"
    "8d521066b8ea05000066ef"
    "66edf6c42074f9"
    "83c60483e60cebdb"
    "ffffffffffff525400aabb0188b5"
)
"""xor ax,ax; mov ds,ax;
ax=b102h, cx=8139h, dx=10ech, si=0; int 1ah (PCI BIOS: find the RTL8139);
ax=b10ch, di=4, cx=7; int 1ah (let it use memory);
ax=b109h, di=10h; int 1ah (its ports);
and cx,-4; mov bp,cx; lea dx,[bp+37h]; mov al,4; out dx,al (send from now on); xor si,si;
again: lea dx,[bp+si+20h]; mov eax,packet; out dx,eax;
lea dx,[bp+si+10h]; mov eax,1514; out dx,eax;
wait: in eax,dx; test ah,20h; jz wait;
add si,4; and si,12; jmp again;
packet: to all, from 52:54:00:aa:bb:01, of the type for experiments (IEEE 802), and what follows."""
DISK = "/var/lib/libvirt/images/fairuse-noisy.img"
DOMAIN = """
<domain type='qemu'>
  <name>noisy-one</name><memory unit='MiB'>64</memory><vcpu>{vcpus}</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:aa:bb:01'/><source bridge='fairuse-br'/>
      <target dev='fairuse-tap'/><model type='{card}'/>
    </interface>
  </devices>
</domain>
"""
STANDING = (
    "virsh dumpxml noisy-one; virsh schedinfo noisy-one; virsh blkdeviotune noisy-one vda;"
    " virsh domiftune noisy-one fairuse-tap; tc -d qdisc show dev fairuse-tap;"
    " tc -d class show dev fairuse-tap; tc -d filter show dev fairuse-tap ingress 2>&1"
)


def start(host: Host, sector: bytes, *, vcpus: int = 1) -> None:
    card = "rtl8139" if sector is SEND else "virtio"
    image = sector.ljust(510, b"\0") + b"\x55\xaa"
    host.write(DISK, image)
    host.run(f"truncate -s 64M {DISK}")
    host.write("/root/noisy.xml", DOMAIN.format(vcpus=vcpus, disk=DISK, card=card))
    host.run("systemctl start libvirtd; virsh create /root/noisy.xml")
    host.run("ip neigh replace 10.213.8.2 lladdr 52:54:00:aa:bb:01 dev fairuse-br nud permanent")


@pytest.fixture
def bridge(host: Host) -> Iterator[None]:
    host.run("ip link add fairuse-br type bridge && ip link set fairuse-br up")
    host.run("ip addr add 10.213.8.1/24 dev fairuse-br")
    try:
        yield
    finally:
        host.run("virsh destroy noisy-one", check=False)
        host.run(f"ip link del fairuse-br; rm -f {DISK} /root/noisy.xml", check=False)


def standing(host: Host) -> str:
    """All that libvirt and tc show of the domain. libvirt puts noqueue back under a number that
    the kernel chooses, and cannot take a vCPU quota out of its live XML: it says "no limit"."""
    text = host.run(STANDING).stdout
    text = re.sub(r"qdisc noqueue [0-9a-f]+:", "qdisc noqueue N:", text)
    text = re.sub(r"direct_packets_stat \d+", "direct_packets_stat N", text)  # a counter
    text = re.sub(r"\n *<(cputune|/cputune)>", "", text)
    return re.sub(r"\n *<quota>-1</quota>", "", text)


def limited(host: Host, resource: str, amount: float, seconds: float) -> dict[str, Any]:
    before = standing(host)
    told: dict[str, Any] = json.loads(
        host.python(INSIDE, resource, str(amount), str(seconds)).stdout
    )
    print(f"{resource} at {amount:g}: {told['free']:g} before, {told['part']:.3f} of it while held")
    assert told["stands"]
    assert told["restored"]
    assert standing(host) == before
    return told


def test_cpu_is_held_to_the_order_and_the_quota_comes_back(host: Host, bridge: None) -> None:
    start(host, BURN)
    told = limited(host, "cpu", 0.3, 10)
    assert told["way"] == "libvirt vcpu_quota"
    assert told["free"] > 0.5
    assert 0.9 <= told["part"] <= 1.1


def test_one_busy_virtual_cpu_of_two_gets_the_whole_order(host: Host, bridge: None) -> None:
    start(host, BURN, vcpus=2)
    assert 0.9 <= limited(host, "cpu", 0.3, 10)["part"] <= 1.1


def test_disk_reads_are_held_to_the_order_and_the_throttle_goes(host: Host, bridge: None) -> None:
    start(host, READ)
    told = limited(host, "disk", 200_000, 10)
    assert told["way"] == "libvirt iotune"
    assert told["free"] > 220_000
    assert 0.9 <= told["part"] <= 1.1


def test_packets_towards_the_guest_are_held_and_the_qdiscs_go(host: Host, bridge: None) -> None:
    start(host, BURN)
    told = limited(host, "net-in", 1_250_000, 8)
    assert told["way"] == "libvirt bandwidth"
    assert bits(told["tc"], "rate") == 1e7
    assert 0.9 <= told["part"] <= 1.1


def test_what_a_guest_sends_is_held_to_the_order_and_the_policer_goes(
    host: Host, bridge: None
) -> None:
    start(host, SEND)
    told = limited(host, "net-out", 1_250_000, 10)
    assert told["way"] == "libvirt bandwidth"
    assert told["free"] > 1_500_000
    assert 0.9 <= told["part"] <= 1.1


def test_an_owners_settings_come_back_as_they_were(host: Host, bridge: None) -> None:
    start(host, BURN)
    host.run(
        "virsh schedinfo noisy-one --live vcpu_quota=90000 vcpu_period=90000;"
        " virsh blkdeviotune noisy-one vda --live --total-iops-sec 900 --total-iops-sec-max 2000"
        " --total-iops-sec-max-length 7;"
        " virsh domiftune noisy-one fairuse-tap --live --inbound 50000,60000,700"
        " --outbound 40000,0,800"
    )
    for resource, amount in (("cpu", 0.3), ("disk", 1e6), ("net-in", 1e6), ("net-out", 1e6)):
        limited(host, resource, amount, 1)


@pytest.fixture
def limiter(host: Host) -> Iterator[None]:
    lone_limiter.start(host)
    try:
        yield
    finally:
        lone_limiter.remove(host)


def order(host: Host, lease_seconds: float) -> SetLimits:
    """The noisy domain is to have a fifth of a processor."""
    named = host.run("ls /sys/fs/cgroup/machine.slice").stdout.split()
    (scope,) = (name for name in named if name.startswith("machine-qemu"))
    fair = Allowance(cores=0.2)
    limit = LimitOrder(
        order="o1",
        tenant="a",
        resource="cpu",
        allowance=fair,
        fair_share=fair,
        remaining_seconds=lease_seconds,
    )
    places = (
        TenantPlace(tenant="a", weight=1, cgroups=(f"/machine.slice/{scope}",)),
        TenantPlace(tenant="b", weight=20, cgroups=("/system.slice/ssh.service",)),
    )
    return SetLimits(orders=(limit,), places=places, controller_heard_seconds_ago=0)


def hold(host: Host, lease_seconds: float) -> None:
    held = lone_limiter.hold(host, order(host, lease_seconds))
    assert held["way"] == "libvirt vcpu_quota"


def quota(host: Host) -> str:
    found = re.search(r"vcpu_quota\s*:\s*(\S+)", host.run("virsh schedinfo noisy-one").stdout)
    assert found
    return found[1]


def test_a_limit_outlives_libvirtds_restart_and_is_lifted_after_it(
    host: Host, bridge: None, limiter: None
) -> None:
    start(host, BURN)
    before = quota(host)
    hold(host, 600)
    assert quota(host) != before
    host.run("systemctl restart libvirtd; systemctl daemon-reload")
    assert quota(host) != before
    assert lone_limiter.ask(host, order(host, 600))["held"]
    assert quota(host) != before
    lone_limiter.stop(host)
    assert quota(host) == before


def test_what_a_hanging_libvirtd_does_not_take_is_lifted_when_it_is_back(
    host: Host, bridge: None, limiter: None
) -> None:
    start(host, BURN)
    before = quota(host)
    lease = 15 * host.slowness
    hold(host, lease)
    host.run("kill -STOP $(pidof libvirtd)")
    try:
        host.run(f"sleep {lease + 5}", timeout_seconds=600)
        assert "lifted" not in lone_limiter.ask(host, GetState()), (
            "the limiter answers, and has lifted nothing"
        )
    finally:
        host.run("kill -CONT $(pidof libvirtd)")
    for _ in range(30):
        lifted: Any = lone_limiter.ask(host, GetState()).get("lifted")
        if lifted:
            break
        host.run("sleep 1")
    assert lifted[0]["reason"] in ("lease-ended", "controller-silent")
    assert lifted[0].get("restored", True)
    assert quota(host) == before


def test_a_domain_that_was_destroyed_takes_its_limit_with_it(
    host: Host, bridge: None, limiter: None
) -> None:
    start(host, BURN)
    lifted_before = lifts(host)
    hold(host, 600)
    host.run("virsh destroy noisy-one && virsh create /root/noisy.xml")
    before = quota(host)
    lone_limiter.stop(host)
    assert quota(host) == before
    assert lifts(host) == lifted_before + 1


def lifts(host: Host) -> int:
    """How often this host's log says that the order was lifted, in all tests so far."""
    return lone_limiter.said(host).count("lifted: order o1")
