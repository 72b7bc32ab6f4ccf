from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from controller.backtest.demand import read_demand, write_trace
from controller.backtest.layout import HostCapacity, TraceError
from controller.backtest.machines import read_bitbrains, read_planetlab
from controller.backtest.placement import Placement, place
from controller.backtest.trace import Trace
from controller.backtest.writer import Form

BITBRAINS = Path(__file__).parents[2].parent / "shared" / "data" / "bitbrains-rnd-2013-07"
HEADER = "Timestamp [ms];\tCPU cores;\tthe rest"


def bitbrains_file(directory: Path, name: str, *records: str) -> None:
    (directory / name).write_bytes(gzip.compress("\n".join([HEADER, *records]).encode() + b"\n"))


def record(time: int, cores: int = 2, percent: float = 50.0, disk: float = 10.0) -> str:
    return f"{time};\t{cores};\t5000.0;\t1.0;\t{percent};\t1.0;\t1.0;\t{disk};\t5.0;\t3.0;\t4.0"


def test_bitbrains_traps_are_minded(tmp_path: Path) -> None:
    bitbrains_file(
        tmp_path,
        "7.csv.gz",
        record(1_372_629_804),
        record(1_372_629_804, percent=99.0),
        record(1_372_630_104, cores=0),
        record(1_372_630_404, percent=120.0),
    )
    (machine,) = read_bitbrains(tmp_path)
    assert machine.name == "vm7"
    assert machine.cores == 2.0
    assert machine.begins.tolist() == [1_372_629_804, 1_372_630_404]
    assert machine.used[0].tolist() == [1.0, 2.4]
    assert machine.used[1].tolist() == [15 * 1024] * 2
    assert machine.used[3:, 0].tolist() == [3 * 1024, 4 * 1024]
    assert 8 * 1024 <= machine.used[1, 0] / machine.used[2, 0] <= 128 * 1024


@pytest.mark.parametrize(
    "bad", [record(1)[:-6], record(1).replace("50.0", "x"), record(1, percent=-1.0)]
)
def test_a_bad_bitbrains_record_is_refused_by_line(tmp_path: Path, bad: str) -> None:
    bitbrains_file(tmp_path, "7.csv.gz", record(1_372_629_804), bad)
    with pytest.raises(TraceError, match=r"7.csv.gz:3: expected"):
        list(read_bitbrains(tmp_path))


def test_planetlab_days_are_folders_of_one_percentage_a_line(tmp_path: Path) -> None:
    for day in ("20110303", "20110306"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "planetlab1_example").write_text("\n".join(["50", "7"] * 144))
    first, second = read_planetlab(tmp_path)
    assert first.name == "20110303-planetlab1_example"
    assert first.begins[0] == 1_299_110_400
    assert second.begins[-1] - second.begins[0] == 287 * 300
    assert first.used[0, :2].tolist() == [0.5, 0.07]
    assert np.isnan(first.used[1:]).all()
    (tmp_path / "20110303" / "planetlab2_example").write_text("50\n101\n")
    with pytest.raises(TraceError, match=r"planetlab2_example:2: expected a whole CPU percentage"):
        list(read_planetlab(tmp_path))


def test_a_planetlab_trace_has_no_figures_but_the_cpus(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(4):
        (source / f"m{number}").write_text("90\n" * 288)
    demand = place(list(read_planetlab(source)), Placement(capacity=HostCapacity(cpu_cores=2.0)))
    list(write_trace(demand, tmp_path, "parquet", recorded=demand.capacities, extra_waits={}))
    trace = Trace.open(tmp_path)
    (host,) = trace.hosts.values()
    assert host == HostCapacity(cpu_cores=2.0)
    for batch in trace.intervals():
        assert batch.used.cpu_cores == pytest.approx(0.5)
        assert (batch.used.cpu_wait > 0.3).all()
        assert np.isnan(batch.used.io_wait).all()
        assert np.isnan(batch.own.io_wait).all()
        assert np.isnan(batch.used.net_in_bytes_per_second).all()


@pytest.mark.parametrize("form", ["csv.gz", "parquet"])
def test_a_records_gap_is_not_measured_and_demand_can_be_read_again(
    tmp_path: Path, form: Form
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    begin = 1_372_629_600
    bitbrains_file(source, "1.csv.gz", *(record(begin + 300 * n) for n in range(12)))
    with_gap = [n for n in range(12) if not 4 <= n < 8]
    bitbrains_file(source, "2.csv.gz", *(record(begin + 300 * n, 4) for n in with_gap))
    demand = place(list(read_bitbrains(source)), Placement(seed=3))
    list(write_trace(demand, tmp_path, form, recorded=demand.capacities, extra_waits={}))
    trace = Trace.open(tmp_path)
    rows = sum(len(batch.tenant) for batch in trace.intervals())
    # A record holds for ten minutes at most: the first half of the gap's third is still known.
    assert rows == 60 + 60 - 15
    assert trace.weights == {("h1", "vm1"): 2.0, ("h1", "vm2"): 4.0}
    again = read_demand(tmp_path)
    assert again.tenants == demand.tenants
    assert again.ends.tolist() == demand.ends.tolist()
    assert again.figures == pytest.approx(demand.figures, rel=1e-2, nan_ok=True)


def test_the_same_seed_places_the_same(tmp_path: Path) -> None:
    for number in range(30):
        bitbrains_file(tmp_path, f"{number}.csv.gz", record(1_372_629_600))
    machines = list(read_bitbrains(tmp_path))
    placed = [place(machines, Placement(seed=seed)).tenants for seed in (1, 1, 2)]
    assert placed[0] == placed[1] != placed[2]
    assert {host for host, _ in placed[0]} == {"h1", "h2", "h3"}


@pytest.mark.skipif(not BITBRAINS.is_dir(), reason="needs ../shared/data: the Bitbrains machines")
def test_the_real_machines_make_mostly_calm_hosts_with_some_contention() -> None:
    machines = [machine for machine, _ in zip(read_bitbrains(BITBRAINS), range(36), strict=False)]
    demand = place(machines, Placement(days=7.0))
    loads = [
        demand.load(host, slice(None)).share_asked(column).sum(axis=1)
        for host in demand.capacities
        for column in range(5)
    ]
    busy = np.mean([(load > 1.0).mean() for load in loads])
    assert 0.0005 < busy < 0.03
    assert np.median([np.median(load) for load in loads]) < 0.3
