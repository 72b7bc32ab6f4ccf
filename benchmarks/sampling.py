"""What a sampling round costs: the agent's whole round beside the bare cost of the same reading.

    python benchmarks/sampling.py [--sizes 100,500,1000,3000] [--rounds 9] [--cgroups PATH] [--json]

With --cgroups /sys/fs/cgroup/unified a hybrid host is measured as if it had cgroup v2 alone.

Run as root. For each size it makes that many tenant cgroups (in every hierarchy that this host
has) and interfaces (in a network namespace of its own), gives a tenth of them, others in
each round, something to do (processor, disk, network), and measures by turns, with cold caches:

* the agent: `Sampler.read()` (discovery of cgroups included) and the encoded report;
* C: `pread` of the very same files and the same netlink dump, with nothing made of it.

The agent's clock goes on by ten seconds a round. Figures are processor time, medians of the
rounds. With --json the last line is one object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.bare_reader import EVICTED_BYTES, BareReader
from fairuse_agent.sampling.hierarchy import Hierarchies, find_hierarchies
from fairuse_agent.sampling.round import Round, Sampler
from fairuse_agent.settings import AgentSettings, Host, TenantRule
from fairuse_protocol.reports import Report, encode_report

INTERVAL_SECONDS = 10
TARGET_RATIO, TARGET_PERCENT = 1.6, 0.4
ACTIVE_SHARE = 0.1
"""Of the tenants, in the interval before each round."""
CLONE_NEWNET = 0x40000000
HUGE_BYTES_PER_SECOND = 10**13


def own_network_namespace() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): run as root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextlib.contextmanager
def interfaces(count: int) -> Iterator[list[str]]:
    names = [f"fub{number}" for number in range(count)]
    commands = "".join(f"link add {name} up type ifb numtxqueues 1\n" for name in names)
    try:
        subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
        yield names
    finally:
        commands = "".join(f"link del {name}\n" for name in names)
        subprocess.run(["ip", "-force", "-batch", "-"], input=commands, text=True, check=False)


def hierarchy_roots(hierarchies: Hierarchies) -> list[Path]:
    roots = (hierarchies.v2, hierarchies.cpu_v1, hierarchies.cpuacct_v1, hierarchies.blkio_v1)
    return list(dict.fromkeys(root for root in roots if root is not None))


@contextlib.contextmanager
def cgroups(count: int, roots: list[Path]) -> Iterator[str]:
    parent = f"fairuse-bench-{os.getpid()}"
    try:
        for root in roots:
            (root / parent).mkdir()
            for number in range(count):
                (root / parent / f"t{number}").mkdir()
        yield parent
    finally:
        for root in roots:
            for path in (root / parent).glob("t[0-9]*"):
                path.rmdir()
            with contextlib.suppress(FileNotFoundError):
                (root / parent).rmdir()


def count_disks(root: Path | None, parent: str) -> None:
    """cgroup v1 counts a disk's use from a first throttle rule on, until the machine restarts:
    the dearer case is measured."""
    if root is None:
        return
    rule = root / parent / "t0" / "blkio.throttle.read_bps_device"
    for device in Path("/sys/block").glob("*/device"):
        number = (device.parent / "dev").read_text().strip()
        rule.write_text(f"{number} {HUGE_BYTES_PER_SECOND}")
        rule.write_text(f"{number} 0")


def be_active(roots: list[Path], parent: str, names: list[str], turn: int) -> None:
    """Some tenants compute, write to the disk and send a packet, so that counters move."""
    count = max(1, int(len(names) * ACTIVE_SHARE))
    chosen = [(turn * count + step) % len(names) for step in range(count)]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with tempfile.TemporaryFile(buffering=0) as file:
                for number in chosen:
                    for root in roots:
                        (root / parent / f"t{number}" / "cgroup.procs").write_text("0")
                    file.write(bytes(4096))
                    os.fdatasync(file.fileno())
                    until = time.process_time() + 0.0005
                    while time.process_time() < until:
                        pass
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the activity child failed")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        for number in chosen:
            raw.bind((names[number], 0))
            raw.send(bytes(100))


def agent_round(sampler: Sampler, sequence: int) -> bytes:
    found = sampler.read()
    assert found is not None
    return encode_report(report_of(found, sequence))


def report_of(found: Round, sequence: int) -> Report:
    return Report(
        host="benchmark",
        spool="benchmark",
        sequence=sequence,
        started_at=found.started_at,
        seconds=found.seconds,
        usage=found.usage,
        tenants=found.tenants,
        pressure_source=found.pressure_source,
        notes=found.notes,
    )


def kept_files(parent: str) -> list[str]:
    """What this process holds open below our cgroups: the agent's own choice of files."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # The descriptor of this very listing.
            targets.append(str(link.readlink()))
    return sorted(target for target in targets if f"/{parent}/" in target)


async def measure(
    count: int, rounds: int, names: list[str], parent: str, cgroup_root: Path
) -> dict[str, float]:
    hierarchies = find_hierarchies(cgroup_root, Path("/proc"))
    roots = hierarchy_roots(hierarchies)
    count_disks(hierarchies.blkio_v1, parent)
    sampler = Sampler(
        AgentSettings(
            host=Host(name="benchmark", uplinks=("lo",)),
            tenants=(TenantRule(cgroup=f"/{parent}/t{{tenant}}", interfaces=("fub{tenant}",)),),
        ),
        cgroup_root=cgroup_root,
        monotonic=itertools.count(0.0, INTERVAL_SECONDS).__next__,
    )
    watcher = asyncio.create_task(sampler.watch_links())
    evict = ctypes.create_string_buffer(EVICTED_BYTES)
    agent, bare, agent_wall, size = [], [], [], 0
    try:
        await asyncio.sleep(0.3)  # The watcher subscribes.
        for turn in range(2):  # The baseline, and what only a first round does.
            be_active(roots, parent, names, turn)
            sampler.read()
        files = kept_files(parent)
        with tempfile.TemporaryDirectory() as folder:
            reader = BareReader(Path(folder), files)
            try:
                reader.read()
                for turn in range(rounds):
                    be_active(roots, parent, names, 2 * turn + 2)
                    await asyncio.sleep(0)
                    ctypes.memset(evict, turn & 0xFF, EVICTED_BYTES)
                    cpu, wall = time.process_time(), time.perf_counter()
                    size = len(agent_round(sampler, turn))
                    agent.append(time.process_time() - cpu)
                    agent_wall.append(time.perf_counter() - wall)
                    # The kernel has counters of the active to add up for whoever reads first.
                    be_active(roots, parent, names, 2 * turn + 3)
                    bare.append(reader.read()[0])
                    sampler.read()
            finally:
                reader.close()
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        sampler.close()
    whole, least = statistics.median(agent), statistics.median(bare)
    return {
        "tenants": count,
        "files_per_tenant": len(files) / count,
        "agent_ms": whole * 1e3,
        "agent_wall_ms": statistics.median(agent_wall) * 1e3,
        "bare_ms": least * 1e3,
        "ratio": whole / least,
        "agent_us_per_tenant": whole / count * 1e6,
        "percent_of_core": whole / INTERVAL_SECONDS * 100,
        "report_bytes": size,
        "active_share": ACTIVE_SHARE,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What a sampling round costs.")
    parser.add_argument("--sizes", default="100,500,1000,3000")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--cgroups", type=Path, default=Path("/sys/fs/cgroup"), help="where hierarchies are mounted"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Clean up then, too.
    own_network_namespace()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    roots = hierarchy_roots(find_hierarchies(wanted.cgroups, Path("/proc")))
    results = []
    print("tenants  files each  agent ms  bare C ms  ratio  us/tenant  % of a core at 10 s")
    for count in (int(size) for size in wanted.sizes.split(",")):
        with interfaces(count) as names, cgroups(count, roots) as parent:
            row = asyncio.run(measure(count, wanted.rounds, names, parent, wanted.cgroups))
        results.append(row)
        print(
            f"{count:7d}  {row['files_per_tenant']:10.1f}  {row['agent_ms']:8.2f}"
            f"  {row['bare_ms']:9.2f}  {row['ratio']:5.2f}  {row['agent_us_per_tenant']:9.1f}"
            f"  {row['percent_of_core']:19.3f}",
            flush=True,
        )
    print(f"aim: ratio at most {TARGET_RATIO}, at most {TARGET_PERCENT} % at 1000 tenants")
    if wanted.json:
        print(json.dumps({"benchmark": "sampling", "rounds": wanted.rounds, "sizes": results}))


if __name__ == "__main__":
    main()
