"""Run on the test host: one limit of one interface at a time, measured, then undone.

With TCP where packets queue. A policer drops, which TCP takes for a reason to send less; what it
lets through is measured with datagrams that come faster than the order.

Arguments: the way (net-in or net-out), the means (police or ifb), a rate in bytes/s, seconds.
Prints JSON: the part of the order that went through with headers, what tc said before, meanwhile
and afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.probe import IngressWay, Probed
from fairuse_protocol.limits import TenantPlace

SPACE, INTERFACE = "fairuse-tc", "fairuse-tc"
NEAR, FAR, PORT = "10.213.7.1", "10.213.7.2", 5001
FRAME, PAYLOAD = 1514, 1448
"""An Ethernet frame at MTU 1500 and the TCP payload in it (with timestamps)."""
SETTLED_SECONDS = 2.0

_COUNT = """
buffer, total, told = bytearray(1 << 20), 0, time.monotonic()
while True:
    got = connection.recv_into(buffer)
    if not got:
        break
    total += got
    if time.monotonic() - told > 0.05:
        told = time.monotonic()
        print(told, total, flush=True)
"""
SINK = f"""
import socket, sys, time
server = socket.create_server((sys.argv[1], {PORT}))
print("ready", flush=True)
connection, _ = server.accept()
{_COUNT}"""
SOURCE = f"""
import socket, sys
connection = socket.create_connection((sys.argv[1], {PORT}))
data = bytes(1 << 18)
while True:
    connection.sendall(data)
"""
DATAGRAM = 1472
"""What fits into the same frame beside the headers of IP and UDP."""
DATAGRAM_SINK = f"""
import socket, sys, time
connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
connection.bind((sys.argv[1], {PORT}))
print("ready", flush=True)
{_COUNT}"""
DATAGRAM_SOURCE = f"""
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect((sys.argv[1], {PORT}))
data, pause = bytes({DATAGRAM}), {FRAME} / (1.5 * int(sys.argv[2]))
due = time.monotonic()
while True:
    due += pause
    time.sleep(max(0.0, due - time.monotonic()))
    sender.send(data)
"""


def run(command: str) -> str:
    return subprocess.run(
        command.split(), capture_output=True, text=True, check=True, timeout=30
    ).stdout


def tc() -> list[str]:
    told = [run(f"tc -d {what} show dev {INTERFACE}") for what in ("qdisc", "class")]
    entrance = run(f"tc -d filter show dev {INTERFACE} ingress") if "ingress" in told[0] else ""
    return [*told, entrance, run("ip -o link show type ifb")]


def make() -> None:
    run(f"ip netns add {SPACE}")
    run(f"ip link add {INTERFACE} type veth peer name eth0 netns {SPACE}")
    run(f"ip addr add {NEAR}/24 dev {INTERFACE}")
    run(f"ip link set {INTERFACE} up")
    run(f"ip -n {SPACE} addr add {FAR}/24 dev eth0")
    run(f"ip -n {SPACE} link set eth0 up")


def measured(way: str, means: str, rate: int, seconds: float) -> float:
    """Bytes/s that came through, headers included."""
    sink_program, source_program, payload = (
        (DATAGRAM_SINK, DATAGRAM_SOURCE, DATAGRAM) if means == "police" else (SINK, SOURCE, PAYLOAD)
    )
    inside = ["ip", "netns", "exec", SPACE]
    sink, source = (inside, []) if way == "net-in" else ([], inside)
    address = FAR if way == "net-in" else NEAR
    python = [sys.executable, "-c"]
    receiver = subprocess.Popen(
        [*sink, *python, sink_program, address], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    receiver.stdout.readline()
    sender = subprocess.Popen([*source, *python, source_program, address, str(rate)])
    readings: list[tuple[float, int]] = []

    def listen() -> None:
        for line in receiver.stdout or []:
            at, total = line.split()
            readings.append((float(at), int(total)))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    start = time.monotonic() + SETTLED_SECONDS
    time.sleep(SETTLED_SECONDS + seconds)
    end = time.monotonic()
    for process in (sender, receiver):
        process.kill()
        process.wait()
    listener.join(5)
    first = min(readings, key=lambda reading: abs(reading[0] - start))
    last = min(readings, key=lambda reading: abs(reading[0] - end))
    return (last[1] - first[1]) / max(last[0] - first[0], 1e-9) * FRAME / payload


def main() -> None:
    way, means, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    ingress = IngressWay(police=means == "police", classifier="matchall")
    kernel = HostKernel(probed=Probed(shaper=True, ingress=ingress))
    make()
    try:
        before = tc()
        place = TenantPlace(tenant="alder", weight=1, interfaces=(INTERFACE,))
        (knob,) = kernel.knobs(way, place, ())  # type: ignore[arg-type]  # one of its words
        found = kernel.read(knob)
        kernel.write(knob, kernel.fields(knob, {"bytes": float(rate)}, found))
        meanwhile = tc()
        through = measured(way, means, rate, seconds) if seconds else 0.0
        stats = run(f"tc -s qdisc show dev {INTERFACE}") if seconds else ""
        kernel.write(knob, found)
        told = {"part": through / rate, "before": before, "meanwhile": meanwhile, "after": tc()}
        print(json.dumps({**told, "stats": stats, "restored": kernel.read(knob) == found}))
    finally:
        subprocess.run(["ip", "link", "del", INTERFACE], check=False)
        subprocess.run(["ip", "netns", "del", SPACE], check=False)


main()
