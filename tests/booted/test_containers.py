"""Containers of the two kinds that Debian brings, found by the agent's rules and held by the
limiter: Docker's, whose cgroups are systemd's scopes, and LXC's, which nobody manages."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from fairuse_protocol.limits import LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance
from tests.booted import lone_limiter, looks
from tests.booted.looks import looked, names
from tests.testhost.host import Host

SETTINGS = """\
discover = ["docker", "lxc"]

[discovery]
containers_file = "/run/fairuse-containers"
"""
WRITER = "fairuse-containers"
"""The service of the operator's that docs/operations.md describes."""
MANUAL = Path(__file__).parents[2] / "docs/operations.md"
BURN = b"#!/bin/sh\nwhile :; do :; done\n"
CORES = 0.3
LXC = """\
lxc.uts.name = fairuse-lodger
lxc.rootfs.path = dir:/var/lib/lxc/fairuse-lodger/rootfs
lxc.mount.entry = /usr usr none bind,ro 0 0
lxc.net.0.type = veth
lxc.net.0.flags = up
lxc.apparmor.profile = unconfined
lxc.init.cmd = /burn
"""
MEASURE = """
import sys, time
def used():
    with open(f"/sys/fs/cgroup{sys.argv[1]}/cpu.stat") as stat:
        return int(next(stat).split()[1]) / 1e6
before, at = used(), time.monotonic()
time.sleep(float(sys.argv[2]))
print((used() - before) / (time.monotonic() - at))
"""


@pytest.fixture(scope="module", autouse=True)
def looker(host: Host) -> Iterator[None]:
    looks.prepare(host, SETTINGS)
    yield
    looks.remove(host)


@pytest.fixture
def shop(host: Host) -> Iterator[str]:
    """A customer's container that computes; its id. It has the host's own /usr."""
    try:
        host.write("/root/tree.tar", tree())
        host.write(f"/usr/local/sbin/{WRITER}", writer(), 0o755)
        host.run(
            "systemctl start docker && docker import /root/tree.tar fairuse-tree"
            f" && systemd-run --quiet --collect --unit {WRITER} /usr/local/sbin/{WRITER}",
            timeout_seconds=300,
        )
        started = host.run(
            "docker run --detach --name fairuse-shop --label fairuse.tenant=acme"
            " --label fairuse.weight=3 --security-opt apparmor=unconfined"
            " --volume /usr:/usr:ro fairuse-tree /burn",
        )
        yield started.stdout.strip()
    finally:
        host.run(
            f"docker rm --force fairuse-shop; docker rmi fairuse-tree; systemctl stop {WRITER}"
            " docker.socket docker containerd; ip link del docker0; nft flush ruleset;"
            f" rm -rf /root/tree.tar /run/fairuse-containers* /usr/local/sbin/{WRITER}",
            check=False,
        )


@pytest.fixture
def lodger(host: Host) -> Iterator[str]:
    """The name of an LXC container that computes."""
    place = "/var/lib/lxc/fairuse-lodger"
    try:
        host.write("/root/tree.tar", tree())
        host.write(f"{place}/config", LXC)
        host.run(f"mkdir {place}/rootfs && tar -x -f /root/tree.tar -C {place}/rootfs")
        host.run("lxc-start --name fairuse-lodger")
        yield "fairuse-lodger"
    finally:
        stop = f"lxc-stop --kill --name fairuse-lodger; rm -rf {place} /root/tree.tar"
        host.run(stop, check=False)


def tree() -> bytes:
    """Of a container: what it does, and places for what comes from the host."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("usr", "etc", "proc", "sys", "dev", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name in ("bin", "lib", "lib64", "sbin"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
        burn = tarfile.TarInfo("burn")
        burn.mode, burn.size = 0o755, len(BURN)
        tar.addfile(burn, BytesIO(BURN))
    return packed.getvalue()


def writer() -> str:
    """The script, as an operator would copy it."""
    found = re.search(r"(?m)^    #!/bin/sh -eu\n(?:    .*\n)+", MANUAL.read_text())
    assert found
    return re.sub(r"(?m)^    ", "", found[0])


def tenant(host: Host, name: str) -> dict[str, Any]:
    """As the agent finds it, once it does."""
    looks.until(lambda: name in looked(host)["by_name"], 30 * host.slowness)
    found: dict[str, Any] = looked(host)["by_name"][name]
    return found


def order(name: str, cgroup: str) -> SetLimits:
    fair = Allowance(cores=CORES)
    limit = LimitOrder(
        order="o1",
        tenant=name,
        resource="cpu",
        allowance=fair,
        fair_share=fair,
        remaining_seconds=600,
    )
    places = (
        TenantPlace(tenant=name, weight=1, cgroups=(cgroup,)),
        TenantPlace(tenant="b", weight=20, cgroups=("/system.slice/ssh.service",)),
    )
    return SetLimits(orders=(limit,), places=places, controller_heard_seconds_ago=0)


def cores(host: Host, cgroup: str, seconds: float = 10.0) -> float:
    """What its processes take, read by a program that is none of ours."""
    return float(host.python(MEASURE, cgroup, str(seconds)).stdout)


def way_it_is_held(host: Host, found: dict[str, Any]) -> str:
    """It is limited, measured and let go again; by which means."""
    (cgroup,) = names(found, "cgroups")
    quota = f"/sys/fs/cgroup{cgroup}/cpu.max"
    before, free = host.read(quota), cores(host, cgroup)
    lone_limiter.start(host)
    try:
        told = lone_limiter.hold(host, order(found["tenant"], cgroup))
        part = cores(host, cgroup) / CORES
        lone_limiter.stop(host)
    finally:
        lone_limiter.remove(host)
    print(f"{cgroup}: {free:.2f} cores before, {part:.3f} of the order while held")
    assert free > 1.2 * CORES
    assert 0.9 <= part <= 1.1
    assert host.read(quota) == before
    return str(told["way"])


def test_a_docker_container_is_known_by_its_label_and_held_through_its_scope(
    host: Host, shop: str
) -> None:
    found = tenant(host, "acme")
    assert found["weight"] == 3
    assert names(found, "cgroups") == [f"/system.slice/docker-{shop}.scope"]
    assert found["cgroups"][0]["why"].startswith("container fairuse-shop, label fairuse.tenant")
    (interface,) = names(found, "interfaces")
    assert interface.startswith("veth")
    assert way_it_is_held(host, found) == "systemd CPUQuotaPerSecUSec"
    assert host.run("docker inspect --format '{{.State.Running}}' fairuse-shop").stdout == "true\n"


def test_an_lxc_container_is_known_by_its_name_and_held_by_its_cgroup(
    host: Host, lodger: str
) -> None:
    found = tenant(host, lodger)
    assert found["weight"] == 1
    assert names(found, "cgroups") == [f"/lxc.payload.{lodger}"]
    (interface,) = names(found, "interfaces")
    assert interface.startswith("veth")
    assert way_it_is_held(host, found) == "cgroup v2 cpu.max"
