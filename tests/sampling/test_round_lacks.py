"""What a host is without: files of newer kernels, pressure, cgroup v2, a capacity that the kernel
tells. A round does with what there is and says what it could not measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairuse_agent.sampling.hierarchy import NoHierarchyError
from fairuse_agent.sampling.round import Sampler
from fairuse_protocol.reports import DiskUsage
from tests.sampling.hosts import DISK, FolderHost, start, write_a


def test_files_that_the_kernel_lacks_are_left_out(host: FolderHost, opened: list[Sampler]) -> None:
    host.tenant("a", v2__cpu_stat="usage_usec 0\n")
    sampler = start(host, opened)
    host.tenant("a", v2__cpu_stat="usage_usec 1000000\n")
    tenant = host.next(sampler).tenants[0]
    assert tenant.cpu_seconds == 1.0
    assert (tenant.cpu_waiting_seconds, tenant.io_waiting_seconds) == (None, None)
    assert tenant.disks == ()


def test_a_file_that_appears_later_is_found_within_a_minute(
    host: FolderHost, opened: list[Sampler]
) -> None:
    host.tenant("a", v2__cpu_stat="usage_usec 0\n")
    sampler = start(host, opened)
    write_a(host, usage=0, waiting=1_000_000)
    host.next(sampler, 60)
    write_a(host, usage=0, waiting=2_000_000)
    assert host.next(sampler).tenants[0].cpu_waiting_seconds == 1.0


def test_disks_stacked_on_others_are_not_reported(host: FolderHost, opened: list[Sampler]) -> None:
    sampler = start(host, opened)
    assert sampler.disks() == ("vda",)


def test_without_any_pressure_or_run_delay_the_round_says_so(
    tmp_path: Path, opened: list[Sampler]
) -> None:
    host = FolderHost(tmp_path, psi=False)
    write_a(host, usage=0, waiting=0)
    sampler = start(host, opened)
    found = host.next(sampler)
    assert found.pressure_source == "none"
    assert found.tenants[0].cpu_waiting_seconds is None
    assert found.usage.cpu_waiting_seconds is None
    assert any("neither pressure nor run delay" in note for note in found.notes)


def test_without_psi_the_longest_run_delay_stands_for_waiting(
    tmp_path: Path, opened: list[Sampler]
) -> None:
    host = FolderHost(tmp_path, psi=False)
    write_a(host, usage=0)

    def delays(**nanoseconds: int) -> None:
        for task, delay in nanoseconds.items():
            host.write(host.proc / f"7/task/{task[1:]}/schedstat", f"1 {delay} 1\n")

    host.write(host.proc / "self/schedstat", "1 2 3\n")
    host.tenant("a", v2__procs="7\n8\n")  # 8 ended meanwhile
    delays(t7=1_000_000_000, t9=2_000_000_000)
    sampler = start(host, opened)
    delays(t7=1_500_000_000, t9=4_000_000_000, t10=3_000_000_000)
    found = host.next(sampler)
    assert found.pressure_source == "run-delay"
    assert found.tenants[0].cpu_waiting_seconds == 3.0
    assert found.tenants[0].io_waiting_seconds is None
    assert any("run delay" in note for note in found.notes)


def test_a_pure_v1_host_is_read_from_its_controllers(tmp_path: Path, opened: list[Sampler]) -> None:
    host = FolderHost(tmp_path, mounts="cpu,cpuacct blkio", psi=False)
    host.write(host.roots["blkio"] / "blkio.throttle.io_service_bytes_recursive", "Total 0\n")

    def write(seconds: int, read: int) -> None:
        host.tenant(
            "a",
            cpu__usage=f"{seconds * 10**9}\n",
            cpu__cpu_stat=f"nr_periods 1\nnr_throttled 1\nthrottled_time {seconds * 10**8}\n",
            blkio__bytes=f"{DISK} Read {read}\n{DISK} Write 0\nTotal {read}\n",
            blkio__operations=f"{DISK} Read {read // 4096}\n{DISK} Write 0\nTotal 1\n",
        )

    write(1, 0)
    sampler = start(host, opened)
    write(3, 4096)
    found = host.next(sampler)
    assert (found.tenants[0].cpu_seconds, found.tenants[0].cpu_throttled_seconds) == (2.0, 0.2)
    assert found.tenants[0].disks == ()
    assert any("tenants' use of vda is not counted" in note for note in found.notes)
    root = host.roots["blkio"] / "blkio.throttle.io_service_bytes_recursive"
    root.write_text(f"{DISK} Read 0\n{DISK} Write 0\nTotal 0\n")
    found = host.next(sampler)
    assert not any("not counted" in note for note in found.notes)
    write(3, 12288)
    assert host.next(sampler).tenants[0].disks == (
        DiskUsage(device="vda", read_bytes=8192, reads=2),
    )


def test_a_host_without_cgroups_is_refused_with_what_to_do(tmp_path: Path) -> None:
    host = FolderHost(tmp_path)
    (host.proc / "self/mounts").write_text("proc /proc proc rw 0 0\n")
    with pytest.raises(NoHierarchyError, match="mount one"):
        host.sampler()


def test_configured_capacity_goes_over_what_the_kernel_tells(host: FolderHost) -> None:
    sampler = host.sampler(disk_operations_per_second=500.0)
    sampler.close()
    assert sampler.capacity.disk_operations_per_second == 500.0
    assert sampler.capacity.disk_bytes_per_second is None
    assert sampler.capacity.cpu_cores >= 1


def test_a_file_that_is_empty_once_bills_nothing_anew(
    host: FolderHost, opened: list[Sampler]
) -> None:
    write_a(host, usage=5_000_000)
    sampler = start(host, opened)
    host.tenant("a", v2__cpu_stat="")
    assert host.next(sampler).tenants[0].cpu_seconds == 0
    write_a(host, usage=6_000_000)
    assert host.next(sampler).tenants[0].cpu_seconds <= 1.0
