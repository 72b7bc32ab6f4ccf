"""Tenants that want the processor: one that takes it, neighbours that need it now and then."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.testhost.host import Host

HOG = "hog"
NEIGHBOURS = ("anna", "bert", "carl")
_BUSY = "while True: pass"
# Mostly asleep, and often at work for a moment: what waits when somebody takes the CPU.
_MODEST = """
import time
while True:
    end = time.process_time() + 0.004
    while time.process_time() < end:
        pass
    time.sleep(0.02)
"""


def start_tenants(host: Host, *, busy: int = 4) -> None:
    """A service each, below customers.slice. The hog bought twenty times their weight, by mistake:
    else the kernel would share the processor fairly by itself."""
    host.write("/usr/local/lib/busy.py", _BUSY)
    host.write("/usr/local/lib/modest.py", _MODEST)
    for name in NEIGHBOURS:
        start(host, name, "modest")
    start(host, HOG, "busy", processes=busy, weight=2000)


def start(host: Host, name: str, what: str, *, processes: int = 1, weight: int = 100) -> None:
    """One tenant's service, with so many processes."""
    program = f"python3 /usr/local/lib/{what}.py"
    all_of_them = " & ".join([program] * processes)
    host.run(
        f"systemd-run --quiet --slice=customers.slice --unit={unit_of(name)}"
        f" -p CPUWeight={weight} -p CPUAccounting=yes sh -c '{all_of_them} & wait'"
    )


def unit_of(name: str) -> str:
    """The unit that a tenant is."""
    return f"customers-{name}.service"


@dataclass(frozen=True)
class Use:
    """What was measured from outside, over some seconds."""

    cores: float
    waiting: float
    """Share of the time in which some task of it waited for the CPU."""


_MEASURE = """
import json, sys, time
names = sys.argv[2:]
def read():
    found = {}
    for name in names:
        folder = f"/sys/fs/cgroup/customers.slice/customers-{name}.service/"
        stat = dict(line.split() for line in open(folder + "cpu.stat"))
        some = open(folder + "cpu.pressure").readline().split()
        found[name] = int(stat["usage_usec"]), int(some[-1].split("=")[1])
    return time.monotonic(), found
start, before = read()
time.sleep(float(sys.argv[1]))
end, after = read()
micro = (end - start) * 1e6
json.dump({n: [(after[n][i] - before[n][i]) / micro for i in (0, 1)] for n in names}, sys.stdout)
"""


def measure(host: Host, seconds: float = 10.0) -> dict[str, Use]:
    """Everybody's use, read from the kernel by a program that is none of ours."""
    told = host.python(_MEASURE, str(seconds), HOG, *NEIGHBOURS).stdout
    return {name: Use(*figures) for name, figures in json.loads(told).items()}
