"""The same figures from the kernel of this machine, with cgroups and interfaces of our own."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, KeysView
from pathlib import Path

import pytest

from fairuse_agent.sampling.hierarchy import Hierarchies, find_hierarchies
from fairuse_agent.sampling.netlink import RouteSocket, link_figures
from fairuse_agent.sampling.round import Round, Sampler
from fairuse_agent.settings import AgentSettings, Host, TenantRule
from fairuse_protocol.reports import TenantUsage

pytestmark = pytest.mark.kernel

PACKET_BYTES = 1000


class Place:
    """Cgroups below one parent of ours, in every hierarchy."""

    def __init__(self) -> None:
        self.parent = f"fairuse-smp{secrets.token_hex(3)}"
        self.on: Hierarchies = find_hierarchies(Path("/sys/fs/cgroup"), Path("/proc"))
        on = self.on
        roots = (on.v2, on.cpu_v1, on.cpuacct_v1, on.blkio_v1)
        self.roots = [root / self.parent for root in dict.fromkeys(roots) if root is not None]

    def make(self, name: str = "") -> None:
        for root in self.roots:
            (root / name).mkdir()

    def remove(self, name: str = "") -> None:
        for root in self.roots:
            with contextlib.suppress(FileNotFoundError):
                (root / name).rmdir()

    def run(self, name: str, cpu_seconds: float) -> None:
        """Burn processor time in the cgroup `name`."""
        child = os.fork()
        if child == 0:
            try:
                for root in self.roots:
                    (root / name / "cgroup.procs").write_text("0")
                until = time.process_time() + cpu_seconds
                while time.process_time() < until:
                    pass
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0

    def settings(self, *interfaces: str, **host: object) -> AgentSettings:
        rule = TenantRule(cgroup=f"/{self.parent}/{{tenant}}", interfaces=interfaces)
        return AgentSettings(
            tenants=(rule,),
            host=Host(uplinks=("lo",)) if not host else Host(**host),  # type: ignore[arg-type] # the test's own keywords
        )


def _let_interfaces_settle() -> None:
    """Earlier tests' namespaces vanish a little after their removal, and their interfaces with
    them; a list that changes while it is read is another test's subject."""
    for _ in range(50):
        before = socket.if_nameindex()
        time.sleep(0.1)
        if socket.if_nameindex() == before:
            return


@pytest.fixture
def place() -> Iterator[Place]:
    _let_interfaces_settle()
    place = Place()
    try:
        place.make()
        yield place
    finally:
        for name in ("a", "b"):
            place.remove(name)
        place.remove()


@pytest.fixture
def sampler(place: Place) -> Iterator[Sampler]:
    sampler = Sampler(place.settings())
    yield sampler
    sampler.close()


def tenant_of(found: Round | None, name: str) -> TenantUsage:
    assert found is not None
    (tenant,) = (tenant for tenant in found.tenants if tenant.tenant == name)
    return tenant


def test_cpu_time_of_a_cgroup_is_what_its_process_used(place: Place, sampler: Sampler) -> None:
    place.make("a")
    sampler.read()
    place.run("a", 0.2)
    found = sampler.read()
    assert 0.2 <= tenant_of(found, "a").cpu_seconds < 0.25
    assert found is not None
    assert found.usage.cpu_busy_seconds >= 0.15
    assert [spot.cgroups for spot in sampler.places()] == [(f"/{place.parent}/a",)]


def test_a_cgroup_remade_within_the_interval_counts_from_zero(
    place: Place, sampler: Sampler
) -> None:
    place.make("a")
    place.run("a", 0.1)
    sampler.read()
    place.run("a", 0.1)
    sampler.read()
    place.remove("a")
    place.make("a")
    place.run("a", 0.05)
    assert 0.05 <= tenant_of(sampler.read(), "a").cpu_seconds < 0.09
    place.run("a", 0.05)
    assert 0.05 <= tenant_of(sampler.read(), "a").cpu_seconds < 0.09


def test_a_cgroup_that_goes_between_listing_and_reading_stops_nothing(
    place: Place, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.make("a")
    place.make("b")
    sampler.read()
    look = sampler.attribution.look

    def look_then_remove(indices: KeysView[int], now: float) -> bool:
        changed = look(indices, now)
        place.remove("a")
        return changed

    monkeypatch.setattr(sampler.attribution, "look", look_then_remove)
    place.run("b", 0.05)
    found = sampler.read()
    assert tenant_of(found, "a").cpu_seconds == 0
    assert tenant_of(found, "b").cpu_seconds >= 0.05
    monkeypatch.undo()
    found = sampler.read()
    assert found is not None
    assert [tenant.tenant for tenant in found.tenants] == ["b"]


def test_throttled_time_shows_under_a_quota(place: Place, sampler: Sampler) -> None:
    place.make("a")
    if place.on.cpu_v1 is not None:
        quota = place.on.cpu_v1 / place.parent / "a/cpu.cfs_quota_us"
        quota.write_text("20000")
    elif (limit := place.roots[0] / "a/cpu.max").exists():
        limit.write_text("20000 100000")
    else:
        pytest.skip("needs the cpu controller delegated to /sys/fs/cgroup's children")
    sampler.read()
    place.run("a", 0.08)
    assert tenant_of(sampler.read(), "a").cpu_throttled_seconds > 0.1


def test_pressure_that_is_switched_off_for_a_group_is_not_measured(
    place: Place, sampler: Sampler
) -> None:
    if place.on.v2 is None or not (place.on.v2 / "cgroup.pressure").exists():
        pytest.skip("this kernel lacks cgroup.pressure")
    place.make("a")
    place.make("b")
    sampler.read()
    (place.on.v2 / place.parent / "a/cgroup.pressure").write_text("0")
    place.run("a", 0.05)
    found = sampler.read()
    assert tenant_of(found, "a").cpu_waiting_seconds is None
    assert tenant_of(found, "a").cpu_seconds >= 0.05
    assert tenant_of(found, "b").cpu_waiting_seconds is not None


def test_what_a_tenant_writes_to_the_disk_is_counted(place: Place, tmp_path: Path) -> None:
    if place.on.blkio_v1 is None:
        pytest.skip("needs cgroup v1's blkio; v2's io.stat is read in the tests on fixtures")
    number = f"{os.major(tmp_path.stat().st_dev)}:{os.minor(tmp_path.stat().st_dev)}"
    if not Path(f"/sys/dev/block/{number}").exists():
        pytest.skip("this disk is none: the temporary folder is in memory")
    disk = Path(f"/sys/dev/block/{number}").resolve()
    disk = disk.parent if (disk / "partition").exists() else disk
    number = (disk / "dev").read_text().strip()
    sampler = Sampler(place.settings(disks=(disk.name,)))
    place.make("a")
    rule = place.on.blkio_v1 / place.parent / "a/blkio.throttle.write_bps_device"
    rule.write_text(f"{number} {10**13}")
    rule.write_text(f"{number} 0")
    try:
        sampler.read()
        child = os.fork()
        if child == 0:
            try:
                for root in place.roots:
                    (root / "a/cgroup.procs").write_text("0")
                page = mmap.mmap(-1, 1 << 20)
                file = os.open(tmp_path / "written", os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
                os._exit(0 if os.write(file, page) == 1 << 20 else 1)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        (used,) = tenant_of(sampler.read(), "a").disks
    finally:
        sampler.close()
    assert used.device == disk.name
    assert 1 << 20 <= used.written_bytes < 2 << 20
    assert used.writes >= 1


class Wire:
    """A veth pair: the host's end here, the tenant's in a network namespace of its own."""

    def __init__(self) -> None:
        self.tenant = secrets.token_hex(3)
        self.name = f"fus{self.tenant}h"
        self.space = f"fairuse-smp{self.tenant}"

    def up(self) -> None:
        inside = f"fus{self.tenant}t"
        for command in (
            f"ip netns add {self.space}",
            f"ip link add {self.name} type veth peer name {inside} netns {self.space}",
            f"ip link set {self.name} up",
            f"ip -n {self.space} link set {inside} up",
        ):
            subprocess.run(command.split(), check=True)

    def down(self) -> None:
        subprocess.run(["ip", "link", "del", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.space], check=False)

    def rename(self, name: str) -> None:
        # Older kernels do not rename an interface that is up.
        subprocess.run(["ip", "link", "set", self.name, "down"], check=True)
        subprocess.run(["ip", "link", "set", self.name, "name", name], check=True)
        self.name = name
        subprocess.run(["ip", "link", "set", self.name, "up"], check=True)

    def send(self, packets: int) -> None:
        """From the host towards the tenant."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((self.name, 0))
            for _ in range(packets):
                with contextlib.suppress(BlockingIOError, OSError):
                    raw.send(bytes(PACKET_BYTES))


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    try:
        wire.up()
        yield wire
    finally:
        wire.down()


def test_interfaces_are_counted_as_the_tenant_sees_them(place: Place, wire: Wire) -> None:
    sampler = Sampler(place.settings("fus{tenant}h"))
    try:
        sampler.read()
        wire.send(50)
        tenant = tenant_of(sampler.read(), wire.tenant)
    finally:
        sampler.close()
    # The kernel says a few words of its own on a new link (neighbour discovery).
    assert 50 <= tenant.net_in_packets < 70
    assert 50 * PACKET_BYTES <= tenant.net_in_bytes < 55 * PACKET_BYTES
    assert tenant.net_out_packets < 20


def test_an_interface_made_during_the_interval_counts_from_zero(place: Place) -> None:
    sampler, wire = Sampler(place.settings("fus{tenant}h")), Wire()
    try:
        sampler.read()
        wire.up()
        wire.send(20)
        assert tenant_of(sampler.read(), wire.tenant).net_in_packets >= 20
        assert sampler.places()[0].interfaces == (wire.name,)
    finally:
        wire.down()
        sampler.close()


async def test_link_events_tell_of_a_new_name(place: Place, wire: Wire) -> None:
    sampler = Sampler(place.settings("fus{tenant}h", "fuz{tenant}h"))
    watcher = asyncio.create_task(sampler.watch_links())
    try:
        await until(lambda: sampler.attribution.links.watched)
        sampler.read()
        renamed = f"fuz{wire.tenant}x"
        wire.rename(renamed)
        await until(lambda: bool(sampler.attribution.links._outdated))
        sampler.read()
        assert sampler.places() == (), "no rule fits the new name"
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        sampler.close()
    assert not sampler.attribution.links.watched, "names are asked in every round again"


async def until(condition: Callable[[], bool]) -> None:
    """The kernel's answer comes by the event loop: let it run until it is there."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (nothing here that could set an Event)
            await asyncio.sleep(0.01)


def test_the_raw_dump_tells_what_proc_net_dev_tells(wire: Wire) -> None:
    route = RouteSocket()
    try:
        wire.send(7)
        for _ in range(5):  # Others may send between the two readings.
            links, whole = route.link_counters()
            lines = Path("/proc/net/dev").read_text().splitlines()[2:]
            told = {line.split(":")[0].strip(): line.split(":")[1].split() for line in lines}
            words = [int(word) for word in told[wire.name]]
            counters = link_figures(links[socket.if_nametoindex(wire.name)])
            if (counters.in_packets, counters.out_packets) == (words[1], words[9]):
                break
        assert whole
        assert counters[:4] == (words[1], words[9], words[0], words[8])
        assert counters.out_packets >= 7
    finally:
        route.close()


def test_a_shaped_uplink_shows_its_queueing_and_a_free_one_none(place: Place, wire: Wire) -> None:
    sampler = Sampler(place.settings(uplinks=(wire.name,)))
    shape = f"tc qdisc add dev {wire.name} root tbf rate 1mbit burst 5kb limit 10kb"
    subprocess.run(shape.split(), check=True)
    try:
        sampler.read()
        wire.send(2)
        time.sleep(0.05)
        found = sampler.read()
        assert found is not None
        (quiet,) = found.usage.uplinks
        assert (quiet.out_delayed_packets, quiet.out_dropped_packets) == (0, 0)
        wire.send(100)
        found = sampler.read()
        assert found is not None
        (busy,) = found.usage.uplinks
        assert busy.interface == wire.name
        assert busy.out_delayed_packets > 0
        assert busy.out_dropped_packets > 0
        assert busy.out_queued_bytes > 0
    finally:
        sampler.close()


def test_an_interface_without_a_queue_is_no_error(wire: Wire) -> None:
    route = RouteSocket()
    try:
        route.root_queue(socket.if_nametoindex(wire.name))
        assert route.root_queue(2**30) is None, "no such interface"
        assert route.link_counters()[1], "the socket is still good"
    finally:
        route.close()
