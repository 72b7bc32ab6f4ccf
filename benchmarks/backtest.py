"""How fast a trace is played through the rule and the cases, reading included.

    python -m benchmarks.backtest [--hours 12] [--rounds 3] [--json]

It makes a trace of 20 hosts with 40 tenants each at 60 s (in a temporary folder, in every form
that traces come in), in which one tenant a host has an hour and a half of such heavy use that its
neighbours wait, and measures one process and one thread: reading alone, and the whole replay with
the built-in policy. Figures are tenant-intervals for each second of processor time, all resources
together; medians of the rounds. With --json the last line is one object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from controller.backtest.layout import FIGURE_COLUMNS, HostCapacity
from controller.backtest.outcome import play
from controller.backtest.trace import Trace
from controller.backtest.writer import Form, TraceWriter
from controller.fairshare.policy import Policy

HOSTS, TENANTS, INTERVAL_SECONDS = 20, 40, 60
CORES, DISK_BYTES, DISK_OPS, NET_BYTES = 32.0, 500e6, 20_000.0, 125e6
CAPACITIES = np.array([CORES, DISK_BYTES, DISK_OPS, NET_BYTES, NET_BYTES])
HEAVY_SHARE, EPISODE_INTERVALS = 0.025, 90
"""One tenant a host, for an hour and a half: in twelve hours, more than a hoster sees in a week."""
AIM = 300_000
START = 1_700_000_040
"""A whole minute."""
CHUNK = 60
FORMS = ("csv", "csv.gz", "parquet")


def demand(count: int, random: np.random.Generator) -> np.ndarray:
    """What every tenant asks of every resource, as shares of the host: by interval, tenant and
    resource. Mostly little and bursty; some have hours of much."""
    usual = random.lognormal(-5.0, 1.0, (1, TENANTS, 5))
    day = 1 + 0.5 * np.sin(np.arange(count) * INTERVAL_SECONDS / 86_400 * 2 * np.pi)
    asked = usual * day[:, None, None] * random.lognormal(0, 0.5, (count, TENANTS, 5))
    for tenant in random.choice(TENANTS, int(TENANTS * HEAVY_SHARE), replace=False):
        start = int(random.integers(0, max(1, count - EPISODE_INTERVALS)))
        kind = int(random.integers(0, 5))
        asked[start : start + EPISODE_INTERVALS, tenant, kind] += random.uniform(0.7, 1.2)
    return asked


def delivered(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a host delivers of it, and how much each tenant waits for each resource."""
    total = asked.sum(axis=1, keepdims=True)
    crowding = np.maximum(1.0, total)
    waiting = np.clip((total - 0.85) * 1.5, 0.0, 0.6) * (asked > 0)
    return asked / crowding, np.broadcast_to(waiting, asked.shape)


def make_trace(directory: Path, hours: float, form: Form) -> None:
    random = np.random.default_rng(7)
    count = int(hours * 3600 / INTERVAL_SECONDS)
    hosts = [f"h{number:02}" for number in range(HOSTS)]
    names = [[f"{host}t{number:02}" for number in range(TENANTS)] for host in hosts]
    capacity = HostCapacity(CORES, DISK_BYTES, DISK_OPS, NET_BYTES, NET_BYTES)
    figures = [delivered(demand(count, random)) for _ in hosts]
    used = np.stack([one for one, _ in figures], axis=1) * CAPACITIES
    waits = np.stack([one for _, one in figures], axis=1)
    waiting = np.stack([waits[..., 0], waits[..., 1:3].max(-1), waits[..., 3:].max(-1)], axis=-1)
    weights = {(host, name): 1.0 for host, own in zip(hosts, names, strict=True) for name in own}
    by_host = np.repeat(np.array(hosts), TENANTS)
    by_tenant = np.array(names).ravel()
    with TraceWriter(directory, dict.fromkeys(hosts, capacity), weights, form) as writer:
        for first in range(0, count, CHUNK):
            many = min(CHUNK, count - first)
            times = START + INTERVAL_SECONDS * np.arange(first + 1, first + many + 1)
            rows = {
                "time": np.repeat(times, HOSTS * TENANTS),
                "host": np.tile(by_host, many),
                "tenant": np.tile(by_tenant, many),
                "seconds": np.full(many * HOSTS * TENANTS, float(INTERVAL_SECONDS)),
            }
            part = np.concatenate(
                [used[first : first + many], waiting[first : first + many]], axis=-1
            ).reshape(-1, len(FIGURE_COLUMNS))
            rows |= {name: part[:, place] for place, name in enumerate(FIGURE_COLUMNS)}
            writer.write(rows)


def make_traces(root: Path, hours: float) -> dict[str, Path]:
    folders = {form: root / form for form in FORMS}
    written: tuple[Form, ...] = ("csv.gz", "parquet")
    for form in written:
        make_trace(folders[form], hours, form)
    shutil.copytree(folders["csv.gz"], folders["csv"])
    packed = folders["csv"] / "samples.csv.gz"
    with gzip.open(packed) as source, (folders["csv"] / "samples.csv").open("wb") as plain:
        shutil.copyfileobj(source, plain)
    packed.unlink()
    return folders


def read_only(folder: Path) -> tuple[int, int]:
    return sum(len(batch.tenant) for batch in Trace.open(folder).intervals()), 0


def replayed(folder: Path) -> tuple[int, int]:
    with play(Trace.open(folder), [("default", Policy())], lambda _rows: None) as played:
        return played.extent.tenant_intervals, played.outcomes[0].events.total().cases


def timed(work: Callable[[Path], tuple[int, int]], folder: Path) -> tuple[float, float, int, int]:
    """Seconds of processor time and by the clock, tenant-intervals, cases."""
    cpu, wall = time.process_time(), time.perf_counter()
    rows, cases = work(folder)
    return time.process_time() - cpu, time.perf_counter() - wall, rows, cases


def measure(folder: Path, rounds: int) -> dict[str, float]:
    reading, whole = [], []
    for _ in range(rounds):
        reading.append(timed(read_only, folder))
        whole.append(timed(replayed, folder))
    _, _, rows, cases = whole[0]
    read_cpu = statistics.median(one[0] for one in reading)
    cpu = statistics.median(one[0] for one in whole)
    return {
        "tenant_intervals": rows,
        "cases": cases,
        "cpu_seconds": cpu,
        "wall_seconds": statistics.median(one[1] for one in whole),
        "per_cpu_second": rows / cpu,
        "per_cpu_second_lowest": rows / max(one[0] for one in whole),
        "per_wall_second": rows / statistics.median(one[1] for one in whole),
        "reading_per_cpu_second": rows / read_cpu,
        "times_reading": cpu / read_cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast a trace is played.")
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    wanted = parser.parse_args()
    results = {}
    print(
        "form      tenant-intervals  cases  a CPU s (lowest)       a s by the clock  reading alone"
    )
    with tempfile.TemporaryDirectory() as root:
        for form, folder in make_traces(Path(root), wanted.hours).items():
            row = results[form] = measure(folder, wanted.rounds)
            print(
                f"{form:8s}  {row['tenant_intervals']:16,.0f}  {row['cases']:5.0f}  "
                f"{row['per_cpu_second']:9,.0f} ({row['per_cpu_second_lowest']:9,.0f})  "
                f"{row['per_wall_second']:16,.0f}  {row['reading_per_cpu_second']:13,.0f}  "
                f"the replay takes {row['times_reading']:.1f} x as long",
                flush=True,
            )
    print(f"aim: {AIM:,} tenant-intervals for each second of processor time")
    if wanted.json:
        print(json.dumps({"benchmark": "backtest", "rounds": wanted.rounds, "forms": results}))


if __name__ == "__main__":
    main()
