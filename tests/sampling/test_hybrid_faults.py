"""What goes wrong for a while where a tenant's files are in several hierarchies."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairuse_agent.sampling.round import Sampler
from tests.sampling.hosts import DISK, FolderHost, pressure, start, watch_reads


def lines(read: int) -> str:
    """As cgroup v1 counts a disk, in bytes or in operations."""
    return f"{DISK} Read {read}\n{DISK} Write 0\n"


def write(host: FolderHost, *, usage: int, throttled: int | None = 0, read: int = 0) -> None:
    """Tenant a's counters: microseconds, and bytes in operations of 4 KiB."""
    host.tenant(
        "a",
        cpuacct__usage=f"{usage * 1000}\n",
        blkio__bytes=lines(read),
        blkio__operations=lines(read // 4096),
    )
    if "v2" in host.roots:
        host.tenant("a", v2__cpu_stat=f"usage_usec {usage}\n")
        host.tenant("a", v2__cpu_pressure=pressure(0), v2__io_pressure=pressure(0))
    if throttled is not None:
        host.tenant("a", cpu__cpu_stat=f"throttled_time {throttled * 1000}\n")


def made(folder: Path, mounts: str) -> FolderHost:
    """A host that counts its disk's use by tenant."""
    host = FolderHost(folder, mounts=mounts, psi="v2" in mounts)
    counted = host.roots["blkio"] / "blkio.throttle.io_service_bytes_recursive"
    host.write(counted, lines(0))
    return host


@pytest.fixture
def hybrid(tmp_path: Path) -> FolderHost:
    return made(tmp_path, "v2 cpu,cpuacct blkio")


def test_throttling_that_is_found_while_the_tenant_sleeps_counts_from_there(
    hybrid: FolderHost, opened: list[Sampler]
) -> None:
    write(hybrid, usage=1000, throttled=None)
    sampler = start(hybrid, opened)
    hybrid.next(sampler)
    write(hybrid, usage=2000, throttled=None)
    for _ in range(4):
        hybrid.next(sampler)
    write(hybrid, usage=2000, throttled=7_000_000)
    hybrid.next(sampler)  # A minute has passed: what was absent is opened.
    write(hybrid, usage=2_002_000, throttled=12_000_000)
    assert hybrid.next(sampler).tenants[0].cpu_throttled_seconds == 5.0


def test_operations_that_cannot_be_read_once_cost_no_bytes(
    hybrid: FolderHost, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(hybrid, usage=1000)
    sampler = start(hybrid, opened)
    hybrid.next(sampler)
    with monkeypatch.context() as patch:
        watch_reads(patch, failing="blkio.throttle.io_serviced_recursive")
        write(hybrid, usage=2000, read=8192)
        assert hybrid.next(sampler).tenants[0].disks == ()
    hybrid.next(sampler)
    write(hybrid, usage=3000, read=3 * 8192)
    (disk,) = hybrid.next(sampler).tenants[0].disks
    assert disk.read_bytes == 2 * 8192


def test_of_an_idle_tenant_without_pressure_two_files_are_read(
    tmp_path: Path, opened: list[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = made(tmp_path, "cpu,cpuacct blkio")
    write(host, usage=1000)
    sampler = start(host, opened)
    host.next(sampler)
    read = watch_reads(monkeypatch)
    host.next(sampler)
    assert read == ["cpuacct.usage", "blkio.throttle.io_service_bytes_recursive"]
