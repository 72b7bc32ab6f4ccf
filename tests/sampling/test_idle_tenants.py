"""Who neither runs nor waits is not asked everything in every round; nothing is missed by that."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_agent.sampling.round import Sampler
from fairuse_agent.sampling.tenants import UNSEEN_SECONDS
from fairuse_protocol.reports import DiskUsage
from tests.sampling.hosts import FolderHost, counted, pressure, start, watch_reads, write_a

ROUNDS_UNSEEN = int(UNSEEN_SECONDS // 10)


def idle(host: FolderHost, opened: list[Sampler]) -> Sampler:
    """A sampler that has seen its tenant do nothing, and taken that for granted."""
    write_a(host, usage=1000)
    sampler = start(host, opened)
    for _ in range(3):
        host.next(sampler)
    return sampler


def test_an_idle_tenant_is_reported_with_nothing_used_and_nobody_waiting(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    for _ in range(2 * ROUNDS_UNSEEN):
        (tenant,) = host.next(sampler).tenants
        assert (tenant.cpu_seconds, tenant.cpu_throttled_seconds, tenant.disks) == (0, 0, ())
        assert (tenant.cpu_waiting_seconds, tenant.io_waiting_seconds) == (0, 0)


def test_an_idle_tenants_pressure_is_not_read_in_every_round(
    host: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = idle(host, opened)
    read = watch_reads(monkeypatch)
    rounds = 2 * ROUNDS_UNSEEN
    for _ in range(rounds):
        host.next(sampler)
    assert read.count("cpu.stat") == read.count("io.stat") == rounds
    assert read.count("cpu.pressure") == read.count("io.pressure") == 2


def test_the_wait_of_a_tenant_that_runs_again_is_told_at_once(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    write_a(host, usage=2000, waiting=3_000_000)
    assert host.next(sampler).tenants[0].cpu_waiting_seconds == 3.0


def test_a_tenant_that_is_stuck_without_running_waits_in_every_round(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    for turn in range(1, 2 * ROUNDS_UNSEEN):
        write_a(host, usage=2000, waiting=4_000_000 * turn)
        assert host.next(sampler).tenants[0].io_waiting_seconds == 8.0, turn


def test_a_tenant_that_is_woken_and_never_gets_its_turn_is_found_before_long(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler, waited = idle(host, opened), list[float | None]()
    for turn in range(1, 2 * ROUNDS_UNSEEN):
        write_a(host, usage=1000, waiting=10_000_000 * turn)
        waited.append(host.next(sampler).tenants[0].cpu_waiting_seconds)
    found = waited.index(10.0)
    assert found < ROUNDS_UNSEEN
    assert set(waited[found:]) == {10.0}


def test_what_the_kernel_writes_back_for_a_tenant_that_sleeps_is_its_use_of_the_disk(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    write_a(host, usage=1000, read=8192)
    (tenant,) = host.next(sampler).tenants
    assert tenant.disks == (DiskUsage(device="vda", read_bytes=8192, reads=2),)
    assert host.next(sampler).tenants[0].disks == ()


def test_a_packet_to_an_idle_tenant_is_counted_once(
    host: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.if_indextoname", lambda index: "la")
    host.route.links = {7: counted()}
    sampler = idle(host, opened)
    host.route.links = {7: counted(out_packets=1, out_bytes=60)}
    assert host.next(sampler).tenants[0].net_in_bytes == 60
    assert host.next(sampler).tenants[0].net_in_bytes == 0


def test_a_cgroup_that_is_remade_while_idle_is_asked_everything_anew(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    (watched,) = sampler._tenants._watched.values()
    watched.close()
    watched.open_missing()
    host.tenant("a", v2__cpu_pressure=pressure(2_000_000))
    assert host.next(sampler).tenants[0].cpu_waiting_seconds == 2.0


def test_a_wait_that_began_too_late_for_the_kernels_total_is_seen_in_the_next_round(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    write_a(host, usage=1020)
    host.next(sampler)
    for turn in range(1, 2 * ROUNDS_UNSEEN):
        write_a(host, usage=1020, waiting=5_000_000 * turn)
        assert host.next(sampler).tenants[0].io_waiting_seconds == 10.0, turn


def test_throttling_that_begins_to_be_counted_while_nobody_runs_is_counted_from_its_first(
    host: FolderHost, opened: list[Sampler]
) -> None:
    write_a(host, usage=1000)
    host.tenant("a", v2__cpu_stat="usage_usec 1000\n")
    sampler = start(host, opened)
    for _ in range(3):
        host.next(sampler)
    host.tenant("a", v2__cpu_stat="usage_usec 1000\nthrottled_usec 0\n")
    host.next(sampler)
    host.tenant("a", v2__cpu_stat="usage_usec 2001000\nthrottled_usec 5000000\n")
    (tenant,) = host.next(sampler).tenants
    assert (tenant.cpu_seconds, tenant.cpu_throttled_seconds) == (2.0, 5.0)


def test_where_rounds_are_far_apart_everybody_is_asked_everything(
    host: FolderHost, opened: list[Sampler]
) -> None:
    sampler = idle(host, opened)
    write_a(host, usage=1000, waiting=20_000_000)
    told = host.next(sampler, seconds=UNSEEN_SECONDS).tenants[0]
    assert told.cpu_waiting_seconds == 20.0


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=40)


@given(STEPS)
def test_every_round_tells_what_plain_differences_would(steps: list[tuple[int, int]]) -> None:
    """Where waiting begins by running, as it does for disks: seconds run and waited by round."""
    with tempfile.TemporaryDirectory() as folder:
        host, opened = FolderHost(Path(folder)), list[Sampler]()
        usage = waiting = waited_before = 0
        write_a(host, usage=0)
        sampler = start(host, opened)
        try:
            for ran, waits in steps:
                waited = waits if ran or waited_before else 0
                usage, waiting = usage + ran * 1_000_000, waiting + waited * 1_000_000
                write_a(host, usage=usage, waiting=waiting)
                (tenant,) = host.next(sampler).tenants
                assert (tenant.cpu_seconds, tenant.cpu_waiting_seconds) == (ran, waited)
                waited_before = waited
        finally:
            for each in opened:
                each.close()
