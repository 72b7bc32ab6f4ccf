"""A host made of files in a folder, for faults that a real kernel does not show on demand."""

from __future__ import annotations

import errno
import os
import shutil
import struct
from pathlib import Path

import pytest

from fairuse_agent.sampling import cgroup
from fairuse_agent.sampling.netlink import LinkCounters, QueueCounters, RouteSocket
from fairuse_agent.sampling.round import Round, Sampler
from fairuse_agent.settings import AgentSettings, Host, TenantRule

RULES = (TenantRule(cgroup="/lxc/{tenant}"), TenantRule(interfaces=("l{tenant}",)))
DISK = "254:0"


def pressure(total: int) -> str:
    return f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull total=0\n"


def counted(
    *, in_packets: int = 0, out_packets: int = 0, in_bytes: int = 0, out_bytes: int = 0
) -> LinkCounters:
    """An interface's counters as the kernel writes them."""
    return struct.pack("=8Q", in_packets, out_packets, in_bytes, out_bytes, 0, 0, 0, 0)


def watch_reads(
    patch: pytest.MonkeyPatch, *, failing: str = "", code: int = errno.ENOMEM
) -> list[str]:
    """The names of the cgroups' files that are read from here on. Reading `failing` fails."""
    read: list[str] = []

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        read.append(name)
        if name == failing:
            raise OSError(code, os.strerror(code))
        return os.pread(descriptor, size, offset)

    patch.setattr(cgroup, "pread", pread)
    return read


class SilentRoute(RouteSocket):
    """A network side that tells what the test put there, or fails. That the real one tells the
    same things is `test_real_kernel`'s part."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[int, LinkCounters] = {}
        self.whole = True
        self.error: OSError | None = None
        self.queue: QueueCounters | OSError | None = None

    def link_counters(self) -> tuple[dict[int, LinkCounters], bool]:
        if self.error is not None:
            raise self.error
        return dict(self.links), self.whole

    def link_namespace(self, index: int) -> int | None:
        return None

    def root_queue(self, index: int) -> QueueCounters | None:
        if isinstance(self.queue, OSError):
            raise self.queue
        return self.queue


class FolderHost:
    """Fixture trees under one folder, and a clock that the test sets."""

    def __init__(self, folder: Path, *, mounts: str = "v2", psi: bool = True) -> None:
        self.cgroup, self.proc, self.sys = folder / "cgroup", folder / "proc", folder / "sys"
        self.now = 1000.0
        self.route = SilentRoute()
        self.roots: dict[str, Path] = {}
        (self.proc / "self").mkdir(parents=True)
        self.cgroup.mkdir()
        lines = []
        for name in mounts.split():
            kind = "cgroup2" if name == "v2" else "cgroup"
            point = self.cgroup if mounts == "v2" else self.cgroup / name
            point.mkdir(exist_ok=True)
            options = "rw" if name == "v2" else f"rw,{name}"
            lines.append(f"cgroup {point} {kind} {options} 0 0\n")
            for controller in name.split(","):
                self.roots[controller] = point
        (self.proc / "self/mounts").write_text("proc /proc proc rw 0 0\n" + "".join(lines))
        if psi:
            self.write(self.proc / "pressure/cpu", pressure(0))
            self.write(self.proc / "pressure/io", pressure(0))
        self.write(self.sys / "block/vda/dev", f"{DISK}\n")
        (self.sys / "block/vda/device").mkdir()
        self.write(self.sys / "block/loop0/dev", "7:0\n")

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def tenant(self, name: str, **files: str) -> None:
        """Write a tenant's files: `v2__cpu_stat` is cpu.stat in the v2 hierarchy."""
        for key, text in files.items():
            root, _, file = key.partition("__")
            self.write(self.roots[root] / "lxc" / name / FILES[file], text)

    def remove(self, name: str) -> None:
        for root in set(self.roots.values()):
            shutil.rmtree(root / "lxc" / name, ignore_errors=True)

    def sampler(self, **host: object) -> Sampler:
        return Sampler(
            AgentSettings(host=Host(uplinks=("lo",), **host), tenants=RULES),  # type: ignore[arg-type] # the test's own keywords
            cgroup_root=self.cgroup,
            proc_root=self.proc,
            sys_root=self.sys,
            route=self.route,
            monotonic=lambda: self.now,
            wall=lambda: self.now + 1e9,
        )

    def next(self, sampler: Sampler, seconds: float = 10.0) -> Round:
        self.now += seconds
        found = sampler.read()
        assert found is not None
        return found


FILES = {
    "cpu_stat": "cpu.stat",
    "cpu_pressure": "cpu.pressure",
    "io_pressure": "io.pressure",
    "io_stat": "io.stat",
    "usage": "cpuacct.usage",
    "bytes": "blkio.throttle.io_service_bytes_recursive",
    "operations": "blkio.throttle.io_serviced_recursive",
    "procs": "cgroup.procs",
}


def start(host: FolderHost, opened: list[Sampler]) -> Sampler:
    sampler = host.sampler()
    opened.append(sampler)
    assert sampler.read() is None, "the first reading only sets the baseline"
    return sampler


def write_a(host: FolderHost, usage: int, waiting: int = 0, read: int = 0) -> None:
    host.tenant(
        "a",
        v2__cpu_stat=f"usage_usec {usage}\nthrottled_usec {usage // 10}\n",
        v2__cpu_pressure=pressure(waiting),
        v2__io_pressure=pressure(waiting * 2),
        v2__io_stat=f"{DISK} rbytes={read} wbytes=0 rios={read // 4096} wios=0\n",
    )
