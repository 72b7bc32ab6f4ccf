"""What an unprivileged agent finds on a host with real guests, containers, users and slices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.booted import looks
from tests.booted.looks import AGENT, CONFIG, looked, names, until
from tests.tenancy.discovery.domains import PROJECT, nova
from tests.testhost.host import Host

ROUNDS = "/run/fairuse-looks/rounds"
SETTINGS = """\
discover = ["libvirt", "proxmox", "lxc", "nspawn", "slices", "users"]

[discovery]
parent_slices = ["fairusecustomers.slice"]

[sampling]
interval = "1s"

[host]
uplinks = ["lo"]
"""
WATCH = """\
import asyncio, json, pathlib, sys, time
from fairuse_agent.sampling.round import Sampler
from fairuse_agent.settings import load_agent_settings

async def main():
    sampler = Sampler(load_agent_settings(pathlib.Path(sys.argv[1])))
    watching = asyncio.create_task(sampler.watch_links())
    with open(sys.argv[2], "w", buffering=1) as out:
        while True:
            began, before = time.time(), time.monotonic()
            found = sampler.read()
            line = {
                "began": began,
                "seconds": time.monotonic() - before,
                "notes": found.notes if found else (),
                "places": {
                    place.tenant: [place.weight, place.cgroups, place.interfaces]
                    for place in sampler.places()
                },
                "cpu": {usage.tenant: usage.cpu_seconds for usage in found.tenants}
                if found else {},
            }
            out.write(json.dumps(line) + "\\n")
            await asyncio.sleep(1 - time.time() % 1)

asyncio.run(main())
"""
"""Rounds as the agent takes them, a line a round."""

DOMAIN = """\
<domain type="qemu">
  <name>{name}</name>
  {metadata}
  <memory unit="MiB">64</memory>
  <vcpu current="1">{vcpus}</vcpu>
  <os><type arch="x86_64">hvm</type></os>
  <devices>
    <interface type="network"><source network="default"/></interface>
  </devices>
</domain>
"""


@pytest.fixture(scope="module", autouse=True)
def looker(host: Host) -> Iterator[None]:
    """The agent's user and its settings, and libvirt's default network."""
    looks.prepare(host, SETTINGS)
    host.write("/opt/fairuse-looks/watch.py", WATCH)
    started = host.run("virsh net-start default", check=False).returncode == 0
    yield
    if started:
        host.run("virsh net-destroy default")
    looks.remove(host)
    host.run("rm -rf /opt/fairuse-looks")


class Undo:
    """Ends what a test began, the last first."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._commands: list[str] = []

    def later(self, command: str) -> None:
        self._commands.append(command)

    def all(self) -> None:
        for command in reversed(self._commands):
            self._host.run(command, check=False)


@pytest.fixture
def undo(host: Host) -> Iterator[Undo]:
    undo = Undo(host)
    yield undo
    undo.all()


def start_domain(host: Host, undo: Undo, name: str, metadata: str = "", vcpus: int = 1) -> str:
    """A domain that costs nothing, for it is paused from the start; its tap's name."""
    host.write(f"/run/{name}.xml", DOMAIN.format(name=name, metadata=metadata, vcpus=vcpus))
    undo.later(f"rm /run/{name}.xml")
    undo.later(f"virsh destroy {name}")
    host.run(f"virsh create --paused /run/{name}.xml")
    return host.run(f"virsh domiflist {name} | awk '/network/ {{print $1}}'").stdout.strip()


def start_machine(host: Host, undo: Undo, name: str, *, service: bool) -> None:
    """A container with a veth, of the host's own /usr: by systemd's template, or by hand."""
    tree = f"/var/lib/machines/{name}"
    host.run(
        f"mkdir -p {tree}/usr {tree}/etc && cd {tree} &&"
        " ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64 && touch etc/os-release"
    )
    undo.later(f"rm -rf {tree}")
    if service:
        host.write(
            f"/etc/systemd/nspawn/{name}.nspawn",
            "[Exec]\nBoot=no\nParameters=/bin/sleep infinity\nPrivateUsers=no\n"
            "[Files]\nBindReadOnly=/usr\n[Network]\nVirtualEthernet=yes\n",
        )
        undo.later(f"rm /etc/systemd/nspawn/{name}.nspawn")
        # A container that is told to stop ends with an error.
        undo.later(f"systemctl stop systemd-nspawn@{name}; systemctl reset-failed")
        host.run(f"systemctl start systemd-nspawn@{name}")
    else:
        undo.later(f"systemctl stop fairuse-by-hand; machinectl terminate {name}")
        host.run(
            "systemd-run --quiet --collect --unit fairuse-by-hand systemd-nspawn --quiet"
            f" --machine {name} --directory {tree} --bind-ro /usr --network-veth"
            " /bin/sleep infinity"
        )
    shown = f"machinectl show {name} --property State --value"
    until(lambda: host.run(shown, check=False).stdout == "running\n")


def test_libvirt_domains_are_found_by_project_with_vcpus_and_taps(host: Host, undo: Undo) -> None:
    plain = start_domain(host, undo, "fairuse-plain", vcpus=2)
    first = start_domain(host, undo, "fairuse-nova-1", nova())
    second = start_domain(host, undo, "fairuse-nova-2", nova())
    answer = looked(host)
    found = answer["by_name"]
    assert found["fairuse-plain"]["weight"] == 1, "of two vCPUs one is plugged in"
    assert names(found["fairuse-plain"], "interfaces") == [plain]
    (scope,) = names(found["fairuse-plain"], "cgroups")
    assert scope.startswith(r"/machine.slice/machine-qemu\x2d")
    assert scope.endswith(r"\x2dfairuse\x2dplain.scope")
    assert found[PROJECT]["weight"] == 2, "one for each of its two guests"
    assert names(found[PROJECT], "interfaces") == sorted([first, second])
    assert len(found[PROJECT]["cgroups"]) == 2
    assert "project acme of user anna" in found[PROJECT]["cgroups"][0]["why"]
    assert answer["notes"] == []
    bridge = next(i for i in answer["unowned_interfaces"] if i["name"] == "virbr0")
    assert "bridge" in bridge["why"]


def test_containers_users_and_slices_are_found_with_their_weights_and_veths(
    host: Host, undo: Undo
) -> None:
    start_machine(host, undo, "fairuse-box", service=True)
    start_machine(host, undo, "fairuse-with-a-long-name", service=False)
    host.run("useradd --uid 4711 --create-home fairusepat && loginctl enable-linger fairusepat")
    undo.later("userdel --remove fairusepat")
    undo.later("loginctl disable-linger fairusepat; loginctl terminate-user fairusepat")
    host.run(
        "systemd-run --quiet --collect --unit fairuse-work"
        " --slice fairusecustomers-acme.slice sleep infinity &&"
        " systemctl set-property --runtime fairusecustomers-acme.slice CPUWeight=400"
    )
    undo.later("systemctl stop fairuse-work fairusecustomers.slice")
    there = "test -d /sys/fs/cgroup/user.slice/user-4711.slice"
    until(lambda: host.run(there, check=False).returncode == 0)
    found = looked(host)["by_name"]
    box, long = found["fairuse-box"], found["fairuse-with-a-long-name"]
    assert names(box, "cgroups") == ["/machine.slice/systemd-nspawn@fairuse-box.service"]
    assert names(box, "interfaces") == ["ve-fairuse-box"]
    assert names(long, "cgroups") == [
        r"/machine.slice/machine-fairuse\x2dwith\x2da\x2dlong\x2dname.scope"
    ]
    (veth,) = names(long, "interfaces")
    assert veth.startswith("ve-fairuse-")
    assert len(veth) == 15, "cut and hashed"
    assert names(found["fairusepat"], "cgroups") == ["/user.slice/user-4711.slice"]
    assert "root" not in found
    assert found["acme"]["weight"] == 4
    assert names(found["acme"], "cgroups") == [
        "/fairusecustomers.slice/fairusecustomers-acme.slice"
    ]


@pytest.fixture
def rounds(host: Host) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """All rounds so far of an agent that samples every second."""
    host.run(
        f"systemd-run --quiet --collect --unit fairuse-looks --uid {AGENT}"
        f" --property RuntimeDirectory=fairuse-looks"
        f" /opt/fairuse/bin/python /opt/fairuse-looks/watch.py {CONFIG} {ROUNDS}"
    )
    until(lambda: host.run(f"test -s {ROUNDS}", check=False).returncode == 0)
    yield lambda: [
        json.loads(line)
        for line in host.read(ROUNDS).splitlines(keepends=True)
        if line.endswith("\n")
    ]
    host.run("systemctl stop fairuse-looks")


def first_after(rounds: Callable[[], list[dict[str, Any]]], moment: float) -> dict[str, Any]:
    """The first round that began after `moment`, by the test host's clock."""
    until(lambda: rounds()[-1]["began"] > moment)
    return next(taken for taken in rounds() if taken["began"] > moment)


def clock(host: Host) -> float:
    return float(host.run("date +%s.%N").stdout)


def test_what_starts_is_known_by_the_next_round(
    host: Host, undo: Undo, rounds: Callable[[], list[dict[str, Any]]]
) -> None:
    tap = start_domain(host, undo, "fairuse-new", nova())
    known = first_after(rounds, clock(host))
    assert known["places"][PROJECT][0] == 1
    assert known["places"][PROJECT][2] == [tap]
    assert not any("fairuse-new" in taken["places"] for taken in rounds()), "never by another name"
    start_machine(host, undo, "fairuse-fresh", service=True)
    known = first_after(rounds, clock(host))
    assert (
        known["places"]["fairuse-fresh"][2] == ["ve-fairuse-fre"]
        or len(known["places"]["fairuse-fresh"][2]) == 1
    )
    host.run("virsh destroy fairuse-new")
    gone = first_after(rounds, clock(host))
    assert PROJECT not in gone["places"]


def test_a_libvirtd_that_hangs_holds_up_no_round_and_is_told(
    host: Host, undo: Undo, rounds: Callable[[], list[dict[str, Any]]]
) -> None:
    tap = start_domain(host, undo, "fairuse-before")
    first_after(rounds, clock(host))
    undo.later("systemctl kill --signal=CONT libvirtd")
    host.run("systemctl kill --signal=STOP libvirtd")
    hung_at = clock(host)
    start_machine(host, undo, "fairuse-meanwhile", service=True)
    known = first_after(rounds, clock(host))
    assert "fairuse-meanwhile" in known["places"]
    until(lambda: any("libvirt" in note for note in rounds()[-1]["notes"]), 60)
    taken = [each for each in rounds() if each["began"] > hung_at]
    assert max(each["seconds"] for each in taken) < 0.5 * host.slowness
    assert all(each["places"]["fairuse-before"][2] == [tap] for each in taken), "as last told"
    host.run("systemctl kill --signal=CONT libvirtd")
    until(lambda: not any("libvirt" in note for note in rounds()[-1]["notes"]), 60)
    tap = start_domain(host, undo, "fairuse-after")
    until(lambda: "fairuse-after" in rounds()[-1]["places"])
    assert rounds()[-1]["places"]["fairuse-after"][2] == [tap]


def test_without_libvirtd_guests_are_named_by_their_scopes_and_a_note_says_so(
    host: Host, undo: Undo
) -> None:
    start_domain(host, undo, "fairuse-orphan", nova())
    sockets = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
    undo.later(f"systemctl start {sockets} libvirtd")
    host.run(f"systemctl stop {sockets} libvirtd")
    answer = looked(host)
    assert answer["by_name"]["fairuse-orphan"]["weight"] == 1
    assert answer["by_name"]["fairuse-orphan"]["interfaces"] == []
    (note,) = answer["notes"]
    assert "named by their scopes" in note
