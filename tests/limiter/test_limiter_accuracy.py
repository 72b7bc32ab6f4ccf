"""The running limiter on the real kernel, measured from outside: each limit holds within 5 % over
10 s, ends by itself, and leaves everything as it was."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

from fairuse_agent.limiter.kernel.disks import real_disks
from fairuse_agent.limiter.kernel.mounts import read_mounts
from fairuse_protocol.limits import GetState, LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance, Resource
from tests.limiter import work
from tests.limiter.place import cgroup, child, limiter, link, run

MEASURED_SECONDS = 10.0
LEASE_SECONDS = 19.0
SETTLED_SECONDS = 1.5
LIFTED_WITHIN_SECONDS = 15.0
"""All leases end at once here, and six flows that are free again take both cores: the kernel then
takes up to a second to remove one interface, and they are lifted one after the other."""
CORES = 0.4
DISK_BYTES = 8e6
FLOWS: tuple[tuple[Resource, int], ...] = (
    ("net-in", 5),
    ("net-in", 50),
    ("net-in", 200),
    ("net-out", 5),
    ("net-out", 50),
    ("net-out", 200),
)
"""Ways and Mbit/s; each on a link of its own, so that no other flow's acknowledgements count."""
FRAME, PAYLOAD = 1514, 1448
"""An Ethernet frame at MTU 1500 and the TCP payload in it (with timestamps)."""


def order(name: str, tenant: str, resource: Resource, amount: Allowance) -> LimitOrder:
    return LimitOrder(
        order=name,
        tenant=tenant,
        resource=resource,
        allowance=amount,
        fair_share=amount,
        remaining_seconds=LEASE_SECONDS,
    )


def rate(tally: Path, start: float, end: float) -> float:
    """Bytes per second between the readings nearest to two moments."""
    lines = [line.split() for line in tally.read_text().splitlines()]
    readings = [(float(at), int(total)) for at, total in lines]
    first = min(readings, key=lambda reading: abs(reading[0] - start))
    last = min(readings, key=lambda reading: abs(reading[0] - end))
    return (last[1] - first[1]) / (last[0] - first[0])


def cpu_seconds(group: str) -> float:
    root = read_mounts().v2
    assert root is not None
    for line in Path(f"{root}{group}/cpu.stat").read_text().splitlines():
        if line.startswith("usage_usec "):
            return int(line.split()[1]) / 1e6
    raise AssertionError("no usage_usec")


def knobs_of(group: str) -> list[str]:
    """Every limit file of the group, as the kernel shows it."""
    files: tuple[str, ...] = (
        "cpu.max",
        "io.max",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
        "cpu.cfs_burst_us",
    )
    files += tuple(f"blkio.throttle.{d}_{u}_device" for d in ("read", "write") for u in ("bps",))
    paths = [Path(f"{root}{group}/{name}") for root in read_mounts().roots() for name in files]
    return [f"{path}: {path.read_text()}" for path in paths if path.exists()]


def prefer(group: str) -> None:
    """Let the group have the CPU that it asks for, however busy this machine is."""
    for root in read_mounts().roots():
        for name, most in (("cpu.shares", "262144"), ("cpu.weight", "10000")):
            if Path(f"{root}{group}/{name}").exists():
                Path(f"{root}{group}/{name}").write_text(most)


def network_of(interface: str) -> str:
    filters = run(*f"tc filter show dev {interface} ingress".split())
    return run(*f"tc qdisc show dev {interface}".split()) + filters


class Tenants:
    """One burns CPU, one reads and writes, six send or receive."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path, file: Path) -> None:
        program = (sys.executable, work.__file__)
        self.tallies: dict[str, Path] = {}
        self.cpu = stack.enter_context(cgroup())
        self.disk = stack.enter_context(cgroup())
        prefer(self.cpu)
        stack.enter_context(child(*program, "burn", group=self.cpu))
        self.tallies["disk"] = directory / "disk"
        worker = (*program, "disk", str(file), str(self.tallies["disk"]))
        stack.enter_context(child(*worker, group=self.disk))
        self.links: dict[str, str] = {}
        for number, (resource, megabits) in enumerate(FLOWS, start=101):
            space, interface = stack.enter_context(link(address=number))
            name = f"{resource}-{megabits}"
            self.links[name], self.tallies[name] = interface, directory / name
            inside = ("ip", "netns", "exec", space)
            towards = resource == "net-in"
            address = f"10.213.{number}.{2 if towards else 1}"
            sink, source = (inside, ()) if towards else ((), inside)
            stack.enter_context(child(*sink, *program, "sink", address, str(self.tallies[name])))
            stack.enter_context(child(*source, *program, "source", address))

    def places(self) -> tuple[TenantPlace, ...]:
        return (
            TenantPlace(tenant="cpu", weight=1, cgroups=(self.cpu,)),
            TenantPlace(tenant="disk", weight=1, cgroups=(self.disk,)),
            *(
                TenantPlace(tenant=name, weight=5, interfaces=(interface,))
                for name, interface in self.links.items()
            ),
        )

    def orders(self) -> tuple[LimitOrder, ...]:
        return (
            order("cpu", "cpu", "cpu", Allowance(cores=CORES)),
            order("disk", "disk", "disk", Allowance(bytes_per_second=DISK_BYTES)),
            *(
                order(f"{way}-{m}", f"{way}-{m}", way, Allowance(bytes_per_second=m * 125e3))
                for way, m in FLOWS
            ),
        )

    def standing(self) -> list[object]:
        return [
            knobs_of(self.cpu),
            knobs_of(self.disk),
            *(network_of(interface) for interface in self.links.values()),
        ]


@pytest.mark.kernel
@pytest.mark.timeout(90)
def test_every_limit_holds_within_five_percent_and_ends_by_itself(tmp_path: Path) -> None:
    file = Path(f"/var/tmp/fairuse-lim-{os.getpid()}")
    if file.parent.stat().st_dev not in {_device(number) for number in real_disks().values()}:
        pytest.skip("this disk cannot be throttled: /var/tmp is on no whole disk of this machine")
    measured: dict[str, float] = {}
    try:
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(limiter())
            tenants = Tenants(stack, tmp_path, file)
            time.sleep(1.0)
            before = tenants.standing()
            request = SetLimits(
                orders=tenants.orders(),
                places=tenants.places(),
                controller_heard_seconds_ago=0,
                disks=tuple(real_disks()),
            )
            ordered_at, state = time.monotonic(), held.ask(request)
            while len(state.held) < len(request.orders):
                assert time.monotonic() < ordered_at + 6, state.refused
                time.sleep(0.5)
                state = held.ask(request)
            time.sleep(SETTLED_SECONDS)
            start, used = time.monotonic(), cpu_seconds(tenants.cpu)
            time.sleep(MEASURED_SECONDS)
            end, used = time.monotonic(), cpu_seconds(tenants.cpu) - used
            measured["cpu"] = used / (end - start) / CORES
            for name, tally in tenants.tallies.items():
                through = rate(tally, start, end)
                if name == "disk":
                    measured[name] = through / DISK_BYTES
                else:
                    ordered = int(name.rpartition("-")[2]) * 125e3
                    measured[name] = through * FRAME / PAYLOAD / ordered
            over_at = ordered_at + LEASE_SECONDS
            time.sleep(max(0.0, over_at + 1.0 - time.monotonic()))
            ended = held.ask(GetState())
            while ended.held:
                log = (held.directory / "log").read_text()
                assert time.monotonic() < over_at + LIFTED_WITHIN_SECONDS, log
                time.sleep(0.2)
                ended = held.ask(GetState())
            assert {(lifted.reason, lifted.restored) for lifted in ended.lifted} == {
                ("lease-ended", True)
            }
            assert tenants.standing() == before
            assert "fa1e:" not in run("tc", "qdisc", "show", "dev", tenants.links["net-in-5"])
    finally:
        file.unlink(missing_ok=True)
    print({name: round(part, 3) for name, part in measured.items()})
    assert all(0.95 <= part <= 1.05 for part in measured.values()), measured


def _device(number: str) -> int:
    major, minor = number.split(":")
    return os.makedev(int(major), int(minor))
