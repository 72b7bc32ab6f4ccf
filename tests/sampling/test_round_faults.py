"""What goes wrong from one round to the next: what cannot be read, is torn, goes or begins anew.
Each is handled, and nothing is billed to an interval in which it did not happen."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from fairuse_agent.sampling.netlink import QueueCounters
from fairuse_agent.sampling.round import Sampler
from fairuse_protocol.reports import DiskUsage
from tests.sampling.hosts import FolderHost, counted, start, watch_reads, write_a


def test_a_round_gives_differences_over_the_interval(
    host: FolderHost, opened: list[Sampler]
) -> None:
    write_a(host, usage=5_000_000, waiting=1_000_000, read=8192)
    sampler = start(host, opened)
    write_a(host, usage=8_000_000, waiting=1_500_000, read=16384)
    found = host.next(sampler)
    (tenant,) = found.tenants
    assert (found.started_at, found.seconds) == (1e9 + 1000, 10)
    assert (tenant.tenant, tenant.weight) == ("a", 1.0)
    assert (tenant.cpu_seconds, tenant.cpu_throttled_seconds) == (3.0, 0.3)
    assert (tenant.cpu_waiting_seconds, tenant.io_waiting_seconds) == (0.5, 1.0)
    assert tenant.disks == (DiskUsage(device="vda", read_bytes=8192, reads=2),)
    assert found.pressure_source == "psi"


def test_waiting_is_never_longer_than_the_interval(host: FolderHost, opened: list[Sampler]) -> None:
    write_a(host, usage=1)
    sampler = start(host, opened)
    write_a(host, usage=2, waiting=10_400_000)
    assert host.next(sampler).tenants[0].cpu_waiting_seconds == 10.0


def test_a_cgroup_made_during_the_interval_counts_from_zero(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = start(host, opened)
    write_a(host, usage=2_000_000)
    assert host.next(sampler).tenants[0].cpu_seconds == 2.0


def test_a_cgroup_that_was_only_out_of_sight_is_not_billed_for_its_whole_life(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = start(host, opened)
    write_a(host, usage=10**12)
    assert host.next(sampler).tenants[0].cpu_seconds == 0
    write_a(host, usage=10**12 + 10**6)
    assert host.next(sampler).tenants[0].cpu_seconds == 1.0


def test_a_folder_that_cannot_be_listed_keeps_its_tenants(
    host: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_a(host, usage=0)
    sampler = start(host, opened)
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if path.endswith("/lxc"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    write_a(host, usage=10**6)
    found = host.next(sampler)
    assert found.tenants[0].cpu_seconds == 1.0
    assert any("cgroups are as they were in" in note for note in found.notes)


def test_a_cgroup_that_goes_takes_its_tenant_with_it(
    host: FolderHost, opened: list[Sampler]
) -> None:
    write_a(host, usage=1)
    sampler = start(host, opened)
    host.remove("a")
    assert host.next(sampler).tenants == ()
    assert sampler.places() == ()


def test_a_counter_that_restarts_counts_from_zero(host: FolderHost, opened: list[Sampler]) -> None:
    write_a(host, usage=9_000_000, read=1 << 20)
    sampler = start(host, opened)
    write_a(host, usage=1_000_000, read=4096)
    tenant = host.next(sampler).tenants[0]
    assert tenant.cpu_seconds == 1.0
    assert tenant.disks[0].read_bytes == 4096


@pytest.mark.parametrize("broken", ["", "max\n", "usage_usec\n", "usage_usec x\n", "\0\0"])
def test_a_malformed_file_is_not_measured_and_the_next_good_one_is_a_baseline(
    host: FolderHost, opened: list[Sampler], broken: str
) -> None:
    write_a(host, usage=5_000_000)
    sampler = start(host, opened)
    host.tenant("a", v2__cpu_stat=broken)
    assert host.next(sampler).tenants[0].cpu_seconds == 0
    write_a(host, usage=50_000_000)
    assert host.next(sampler).tenants[0].cpu_seconds == 0, "what came before is unknown"
    write_a(host, usage=51_000_000)
    assert host.next(sampler).tenants[0].cpu_seconds == 1.0


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENODEV, errno.EIO])
def test_a_pressure_file_that_cannot_be_read_costs_only_itself(
    host: FolderHost,
    opened: list[Sampler],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    write_a(host, usage=0)
    sampler = start(host, opened)
    write_a(host, usage=1_000_000, waiting=5)
    watch_reads(monkeypatch, failing="cpu.pressure", code=code)
    tenant = host.next(sampler).tenants[0]
    assert (tenant.cpu_seconds, tenant.cpu_waiting_seconds) == (1.0, None)
    assert tenant.io_waiting_seconds == 10e-6


def test_too_few_descriptors_are_noted_and_never_billed_later(
    host: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = start(host, opened)
    real, full = os.open, True

    def open_file(file: str, flags: int) -> int:
        if full and "/lxc/" in str(file):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(file, flags)

    monkeypatch.setattr(os, "open", open_file)
    write_a(host, usage=7_000_000)
    found = host.next(sampler)
    assert found.tenants[0].cpu_seconds == 0
    assert any("1 cgroups could not be read whole" in note for note in found.notes)
    assert any("Too many open files" in note for note in found.notes)
    full = False
    assert host.next(sampler, 60).tenants[0].cpu_seconds == 0
    write_a(host, usage=8_000_000)
    found = host.next(sampler)
    assert found.tenants[0].cpu_seconds == 1.0
    assert found.notes == ("uplink lo is not there",)


def test_a_silent_network_side_is_noted_and_counts_nothing(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = start(host, opened)
    host.route.error = TimeoutError("timed out")
    found = host.next(sampler)
    assert found.notes[0] == "interface counters could not be read: timed out"


LOOPBACK = socket.if_nametoindex("lo")  # for the rules of hosts.py it is tenant "o"'s


def test_after_a_failed_round_amounts_and_seconds_still_belong_together(
    host: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.route.links = {LOOPBACK: counted(in_bytes=0)}
    write_a(host, usage=0)
    sampler = start(host, opened)

    def fail() -> None:
        raise ValueError("an odd line")

    with monkeypatch.context() as patch:
        patch.setattr("fairuse_agent.sampling.host._read_processors", fail)
        write_a(host, usage=10**6)
        host.route.links = {LOOPBACK: counted(in_bytes=1000)}
        host.now += 10
        with pytest.raises(ValueError, match="odd line"):
            sampler.read()
    write_a(host, usage=2 * 10**6)
    host.route.links = {LOOPBACK: counted(in_bytes=2000)}
    host.now += 10
    assert sampler.read() is None, "what the failed round read is a baseline for nothing"
    write_a(host, usage=3 * 10**6)
    host.route.links = {LOOPBACK: counted(in_bytes=3000)}
    found = host.next(sampler)
    use = {tenant.tenant: tenant for tenant in found.tenants}
    assert (found.started_at, found.seconds) == (1e9 + 1020, 10)
    assert (use["a"].cpu_seconds, use["o"].net_out_bytes) == (1.0, 1000)
    assert found.usage.uplinks[0].in_bytes == 1000


def test_what_an_unread_interface_gained_is_never_told_as_one_intervals(
    host: FolderHost, opened: list[Sampler]
) -> None:
    host.route.links = {LOOPBACK: counted(in_bytes=0)}
    sampler = start(host, opened)

    def out(total: int) -> tuple[int, int, tuple[str, ...]]:
        host.route.links = {LOOPBACK: counted(in_bytes=total)}
        found = host.next(sampler)
        return found.tenants[0].net_out_bytes, found.usage.uplinks[0].in_bytes, found.notes

    assert out(1000) == (1000, 1000, ())
    host.route.error = TimeoutError("timed out")
    assert out(2000) == (0, 0, ("interface counters could not be read: timed out",))
    host.route.error = None
    assert out(3000) == (
        0,
        0,
        ("1 interfaces count from now: the last round missed them",),
    )
    assert out(4000) == (1000, 1000, ())


def test_an_interface_that_a_torn_list_lacked_is_not_told_twice_as_busy(
    host: FolderHost, opened: list[Sampler]
) -> None:
    host.route.links = {LOOPBACK: counted(in_bytes=0)}
    sampler = start(host, opened)
    host.route.links, host.route.whole = {}, False
    assert host.next(sampler).tenants[0].net_out_bytes == 0
    host.route.links, host.route.whole = {LOOPBACK: counted(in_bytes=2000)}, True
    found = host.next(sampler)
    assert found.tenants[0].net_out_bytes == 0
    assert "1 interfaces count from now: the last round missed them" in found.notes
    host.route.links = {LOOPBACK: counted(in_bytes=3000)}
    assert host.next(sampler).tenants[0].net_out_bytes == 1000


def test_a_torn_list_still_counts_what_is_in_it(host: FolderHost, opened: list[Sampler]) -> None:
    sampler = start(host, opened)
    host.route.links, host.route.whole = {LOOPBACK: counted(in_bytes=700)}, False
    assert host.next(sampler).tenants[0].net_out_bytes == 700, "made in this interval"
    host.route.links = {LOOPBACK: counted(in_bytes=1000)}
    assert host.next(sampler).tenants[0].net_out_bytes == 300


def test_a_queue_that_could_not_be_read_once_is_not_billed_for_its_whole_life(
    host: FolderHost, opened: list[Sampler]
) -> None:
    host.route.links = {LOOPBACK: counted(in_bytes=0)}
    host.route.queue = QueueCounters(0, 5000, 0, 0)
    sampler = start(host, opened)
    host.route.queue = OSError(errno.EIO, "no answer")
    assert host.next(sampler).usage.uplinks[0].out_dropped_packets == 0
    host.route.queue = QueueCounters(0, 5010, 0, 0)
    assert host.next(sampler).usage.uplinks[0].out_dropped_packets == 0
    host.route.queue = QueueCounters(0, 5013, 0, 0)
    assert host.next(sampler).usage.uplinks[0].out_dropped_packets == 3


def test_a_cgroup_that_could_not_be_opened_and_then_goes_does_not_fail_the_round(
    host: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def open_file(file: str, flags: int) -> int:
        if "/lxc/a/" in str(file):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real(file, flags)

    write_a(host, usage=0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_file)
        sampler = start(host, opened)
    host.remove("a")
    assert host.next(sampler, 60).tenants == ()
    assert sampler.places() == ()
