"""Run on the test host: one limit of one libvirt domain, measured, then undone.

Arguments: the resource, an amount (cores, or bytes/s), seconds. Prints JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.probe import IngressWay, Probed
from fairuse_protocol.limits import TenantPlace

INTERFACE, BRIDGE = "fairuse-tap", "fairuse-br"
ROUNDS = 3
FLOOD = """
import socket, sys
flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
data = bytes(1400)
while True:
    try:
        flood.sendto(data, ("10.213.8.2", 9))
    except OSError:
        pass
"""


def scope() -> str:
    (found,) = Path("/sys/fs/cgroup/machine.slice").glob("machine-qemu*scope")
    return f"/machine.slice/{found.name}"


def sent() -> int:
    """Bytes that libvirt's HTB let through. A guest without a driver takes no packet from its tap,
    whose own counter counts only what was taken."""
    command = ["tc", "-s", "class", "show", "dev", INTERFACE]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Sent (\d+) bytes", told)
    return int(found[1]) if found else 0


def came_through() -> int:
    """Bytes that the bridge got from the guest. The tap's own counter has what was sent, and the
    policer comes after it."""
    return int(Path(f"/sys/class/net/{BRIDGE}/statistics/rx_bytes").read_text())


def main() -> None:
    resource, amount, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    ingress = IngressWay(police=True, classifier="matchall")
    kernel = HostKernel(probed=Probed(shaper=True, ingress=ingress))
    place = TenantPlace(tenant="a", weight=1, cgroups=(scope(),), interfaces=(INTERFACE,))
    (knob,) = kernel.knobs(resource, place, ())  # type: ignore[arg-type]  # one of its words
    amounts = {
        "cpu": {"cores": amount},
        "disk": {"bytes": amount, "operations": 1e6},
    }.get(resource, {"bytes": amount})
    stream = "cores" if resource == "cpu" else "bytes"
    outside = {"net-in": sent, "net-out": came_through}

    def used() -> float:
        count = outside.get(resource)
        return count() if count else kernel.measure(knob)[stream]

    flood = None
    if resource == "net-in":
        flood = subprocess.Popen([sys.executable, "-c", FLOOD])
    try:
        first, at = kernel.measure(knob), time.monotonic()
        time.sleep(max(2.0, seconds / 4))
        free = (kernel.measure(knob)[stream] - first[stream]) / (time.monotonic() - at)
        before = kernel.read(knob)
        wanted = kernel.fields(knob, amounts, before)
        kernel.write(knob, wanted)
        stands = kernel.read(knob) == wanted
        for _ in range(ROUNDS):  # as the keeper does with each request
            time.sleep(max(2.0, seconds / 4))
            kernel.measure(knob)
            kernel.write(knob, kernel.fields(knob, amounts, before))
        at, began_with = time.monotonic(), used()
        time.sleep(seconds)
        held = (used() - began_with) / (time.monotonic() - at)
        meanwhile = subprocess.run(
            ["tc", "-s", "-d", "class", "show", "dev", INTERFACE],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        kernel.write(knob, before)
        told = {"free": free, "part": held / amount, "stands": stands, "tc": meanwhile}
        print(
            json.dumps({**told, "way": kernel.way(knob), "restored": kernel.read(knob) == before})
        )
    finally:
        if flood is not None:
            flood.kill()
            flood.wait()


main()
