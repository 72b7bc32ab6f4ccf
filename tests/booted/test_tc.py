"""tc on a real kernel with every module: what a limit lets through, and what it leaves behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.testhost.host import Host

INSIDE = Path(__file__).with_name("inside_tc.py").read_text()
MEGABIT = 125_000
UNITS = {"bit": 1, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}
OWNERS = {
    "libvirt-bandwidth": (
        "tc qdisc add dev tap0 root handle 1: htb default 1",
        "tc class add dev tap0 parent 1: classid 1:1 htb rate 8mbit",
        "tc qdisc add dev tap0 parent 1:1 handle 2: sfq perturb 10",
        "tc qdisc add dev tap0 ingress",
        "tc filter add dev tap0 parent ffff: protocol all u32 match u32 0 0"
        " police rate 8mbit burst 100kb mtu 64kb drop flowid :1",
    ),
    "clsact-with-a-program": (
        "tc qdisc add dev tap0 root handle 7: fq_codel",
        "tc qdisc add dev tap0 clsact",
        'tc filter add dev tap0 ingress bpf bytecode "1,6 0 0 4294967295," flowid 1:1 action ok',
    ),
    "a-shared-block": (
        "tc qdisc add dev tap0 root handle 8: prio",
        "tc qdisc add dev tap0 ingress_block 22 ingress",
        "tc filter add block 22 matchall action ok",
    ),
}
ASK = """
import sys
from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import Refused
from fairuse_protocol.limits import TenantPlace
kernel = HostKernel()
print(kernel.ways()["net-in"], "/", kernel.ways()["net-out"])
for way in sys.argv[1:]:
    (knob,) = kernel.knobs(way, TenantPlace(tenant="a", weight=1, interfaces=("tap0",)), ())
    before = kernel.read(knob)
    try:
        wanted = kernel.fields(knob, {"bytes": 1e6}, before)
    except Refused as refused:
        print(way, "refused", refused.promise, refused)
        continue
    kernel.write(knob, wanted)
    print(way, "held", kernel.read(knob) == wanted)
    kernel.write(knob, before)
    print(way, "restored", kernel.read(knob) == before)
"""
SHOW = (
    "for what in qdisc class filter; do tc -d $what show dev tap0; done;"
    " tc -d filter show dev tap0 ingress 2>&1; tc -d filter show block 22 2>&1; ip -d link show"
)


def limited(host: Host, way: str, means: str, megabits: int, seconds: float = 0) -> dict[str, Any]:
    arguments = (way, means, str(megabits * MEGABIT), str(seconds))
    told: dict[str, Any] = json.loads(host.python(INSIDE, *arguments).stdout)
    assert told["after"] == told["before"]
    assert told["restored"]
    return told


def bits(text: str, name: str) -> float:
    found = re.search(rf"\b{name} ([\d.]+)([KMG]?bit)", text)
    assert found, text
    return float(found[1]) * UNITS[found[2]]


@pytest.mark.parametrize(
    ("way", "means", "megabits"),
    [
        *(("net-in", "htb", megabits) for megabits in (1, 50, 1000)),
        *(("net-out", "ifb", megabits) for megabits in (1, 50, 1000)),
        # As many datagrams as an emulated host sends: each is a call of its own.
        *(("net-out", "police", megabits) for megabits in (1, 8)),
    ],
)
def test_what_was_ordered_comes_through_and_the_interface_is_as_before(
    host: Host, way: str, means: str, megabits: int
) -> None:
    told = limited(host, way, means, megabits, seconds=20 if megabits == 1 else 6)
    print(f"{way} by {means} at {megabits} Mbit/s: {told['part']:.3f} of the order")
    if megabits == 1000 and host.slowness > 1:
        pytest.skip("this host lacks KVM: software emulation does not send 1 Gbit/s")
    assert 0.9 <= told["part"] <= 1.1, told["stats"]


@pytest.mark.parametrize("gigabits", [40, 60])
@pytest.mark.parametrize("means", ["htb", "police", "ifb"])
def test_rates_beyond_32_bits_stand_as_ordered(host: Host, means: str, gigabits: int) -> None:
    way = "net-in" if means == "htb" else "net-out"
    told = limited(host, way, means, gigabits * 1000)["meanwhile"]
    if means == "police":
        assert bits(told[2], "rate") == gigabits * 1e9
        assert "mtu 64Kb" in told[2]
    elif means == "htb":
        assert bits(told[1], "rate") == bits(told[1], "ceil") == gigabits * 1e9
        assert "leaf fa1f:" in told[1]
        assert "bfifo fa1f:" in told[0]


def test_the_probe_prefers_what_queues_to_what_drops(host: Host) -> None:
    host.run("ip tuntap add tap0 mode tap && ip link set tap0 up")
    try:
        assert host.python(ASK).stdout == "htb / ifb + htb behind matchall\n"
    finally:
        host.run("ip link del tap0")


@pytest.mark.parametrize("queues", ["", "multi_queue"])
@pytest.mark.parametrize("length", [1000, 500])
def test_a_tap_has_its_queues_back(host: Host, queues: str, length: int) -> None:
    host.run(f"ip tuntap add tap0 mode tap {queues} && ip link set tap0 txqueuelen {length} up")
    try:
        before = host.run(SHOW).stdout
        assert ("qdisc mq 0: root" in before) == bool(queues)
        told = host.python(ASK, "net-in", "net-out").stdout
        assert told.splitlines()[1:] == [
            f"{way} {done} True" for way in ("net-in", "net-out") for done in ("held", "restored")
        ]
        assert host.run(SHOW).stdout == before
    finally:
        host.run("ip link del tap0")


def test_the_noqueue_that_libvirt_gives_a_tap_comes_back_under_its_number(host: Host) -> None:
    host.run("ip tuntap add tap0 mode tap && ip link set tap0 up")
    try:
        host.run("tc qdisc add dev tap0 root handle 8001: noqueue")
        before = host.run(SHOW).stdout
        told = host.python(ASK, "net-in").stdout.splitlines()
        assert told[1:] == ["net-in held True", "net-in restored True"]
        assert host.run(SHOW).stdout == before
    finally:
        host.run("ip link del tap0")


@pytest.mark.parametrize("owner", OWNERS)
def test_what_an_owner_put_there_is_refused_and_untouched(host: Host, owner: str) -> None:
    host.run("ip tuntap add tap0 mode tap && ip link set tap0 up")
    try:
        host.run(" && ".join(OWNERS[owner]))
        before = host.run(SHOW).stdout
        told = host.python(ASK, "net-in", "net-out").stdout.splitlines()
        assert told[1].startswith("net-in refused 3 the interface has a qdisc that the kernel did")
        assert told[2].startswith("net-out refused 3 the interface has an ingress or clsact qdisc")
        assert host.run(SHOW).stdout == before
    finally:
        host.run("ip link del tap0")


def test_every_way_of_turning_a_knob_keeps_its_promises_on_this_kernel(host: Host) -> None:
    done = host.pytest(
        "-q -p no:cacheprovider tests/limiter/test_kernel_contract.py"
        " tests/limiter/test_kernel_hands.py -k 'real or shaper or multi_queue or probe'"
    )
    assert " passed" in done.stdout
    assert "fairuse-" not in host.run("ip -o link").stdout
