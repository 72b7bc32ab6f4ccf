"""Units of a running systemd, and disks to burn, for tests on a booted host."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fairuse_agent.limiter.kernel.systemd import RUNNING
from tests.limiter.place import run, tag

SLICE = Path("/sys/fs/cgroup/system.slice")
DROP_INS = ("/run/systemd/system.control", "/run/systemd/transient", "/etc/systemd/system.control")
BURN = "while True: pass"
# Small blocks: a throttle lets whole requests through per 100 ms slice, and what is left is lost.
# Two at a time: on an emulated host one waits longer for its block than the throttle has it wait.
READ = """
import mmap, os, sys
os.fork()
disk = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
block, at = mmap.mmap(-1, 16384), 0
while True:
    at = at + 16384 if os.preadv(disk, [block], at) else 0
"""
WRITE = """
import mmap, os, sys
os.fork()
disk = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT)
block, size, at = mmap.mmap(-1, 16384), os.lseek(disk, 0, os.SEEK_END), 0
while True:
    at = (at + os.pwritev(disk, [block], at)) % size
"""


def booted() -> bool:
    """True when systemd runs this host and its groups are cgroup v2."""
    return RUNNING.is_dir() and (SLICE / "cgroup.controllers").exists()


@contextlib.contextmanager
def service(program: str, *arguments: str, kind: str = "service") -> Iterator[str]:
    """A unit that runs a Python program; its name. It counts disk use, as tenants' units should.

    A slice is one below system.slice, with a service in it.
    """
    name = f"fairuse-lim-{tag()}.{kind}"
    unit = ["--unit", name]
    if kind == "slice":
        name = f"system-fairuse_lim_{tag()}.slice"
        unit = ["--slice", name]
    command = ["systemd-run", "-q", "--collect", *unit, "-p", "IOAccounting=yes"]
    python = [sys.executable, "-c", program, *arguments]
    if kind == "scope":
        holder = subprocess.Popen([*command, "--scope", *python])
        while not (SLICE / name).is_dir():
            time.sleep(0.05)
    else:
        run(*command, *python)
    try:
        yield name
    finally:
        subprocess.run(["systemctl", "stop", name], capture_output=True, check=False)
        if kind == "scope":
            holder.wait(20)


@contextlib.contextmanager
def unit_file(program: str, *arguments: str) -> Iterator[str]:
    """A service with a file of its own, which outlives its stop; its name."""
    name = f"fairuse-lim-{tag()}.service"
    script = Path(f"/run/{name}.py")
    script.write_text(program)
    file = Path(f"/run/systemd/system/{name}")
    words = " ".join((sys.executable, str(script), *arguments))
    file.write_text(f"[Service]\nExecStart={words}\nIOAccounting=yes\nCPUAccounting=yes\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", name)
    try:
        yield name
    finally:
        subprocess.run(["systemctl", "stop", name], capture_output=True, check=False)
        subprocess.run(["systemctl", "revert", name], capture_output=True, check=False)
        file.unlink(missing_ok=True)
        script.unlink()
        run("systemctl", "daemon-reload")


@contextlib.contextmanager
def disks(number: int, megabytes: int = 64) -> Iterator[list[str]]:
    """Loop devices over files in memory; their nodes."""
    with tempfile.TemporaryDirectory(prefix="fairuse-lim-", dir="/dev/shm") as directory:
        made = []
        try:
            for index in range(number):
                file = Path(directory) / str(index)
                with file.open("wb") as opened:
                    opened.truncate(megabytes * 2**20)
                made.append(run("losetup", "--find", "--show", str(file)).strip())
            yield made
        finally:
            for node in made:
                subprocess.run(["losetup", "-d", node], capture_output=True, check=False)


def number_of(node: str) -> str:
    return run("lsblk", "-dnro", "MAJ:MIN", node).strip()


def shown(unit: str) -> list[str]:
    """What systemd says of a unit's limits, and what the kernel holds."""
    names = "CPUQuotaPerSecUSec,CPUQuotaPeriodUSec,CPUWeight,FreezerState,IOAccounting,IOWeight"
    names += ",IOReadBandwidthMax,IOWriteBandwidthMax,IOReadIOPSMax,IOWriteIOPSMax"
    told = run("systemctl", "show", unit, "-p", names).splitlines()
    left = [str(path) for root in DROP_INS for path in Path(root).glob(f"{unit}.d/*")]
    return sorted(told) + sorted(left) + files(unit)


def files(unit: str) -> list[str]:
    group = SLICE / unit
    names = ("cpu.max", "cpu.weight", "io.max", "cgroup.freeze")
    return [f"{name}: {(group / name).read_text()}" for name in names if (group / name).exists()]


def used(unit: str, node: str) -> float:
    """Bytes read and written by a unit on a disk so far, by the kernel's count."""
    for line in (SLICE / unit / "io.stat").read_text().splitlines():
        device, *words = line.split()
        if device == number_of(node):
            counters = dict(word.split("=") for word in words)
            return float(counters["rbytes"]) + float(counters["wbytes"])
    return 0.0


def cores(unit: str) -> float:
    line = (SLICE / unit / "cpu.stat").read_text().splitlines()[0]
    return int(line.split()[1]) / 1e6
