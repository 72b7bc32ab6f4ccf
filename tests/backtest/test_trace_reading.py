from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import controller.backtest.tables as tables
from controller.backtest.layout import TraceError
from controller.backtest.trace import Trace
from tests.backtest.traces import HEADER, Row, line, write

IN_ORDER: list[Row] = [
    (60, "h1", "", 0.5),
    (60, "h1", "a", 1.0),
    (60, "h1", "b", 2.0),
    (60, "h2", "c", 3.0),
    (120, "h1", "", 0.25),
    (120, "h1", "a", 1.5),
    (120, "h2", "a", 4.0),
    (120, "h2", "c", 5.0),
]


def intervals(trace: Trace) -> dict[tuple[int, str], dict[str, float]]:
    """Cores by time and host, and then tenant; the host's own under the empty name."""
    found: dict[tuple[int, str], dict[str, float]] = {}
    for batch in trace.intervals():
        for index in range(len(batch)):
            key = (int(batch.time[index]), trace.host_names[batch.host[index]])
            assert key not in found, "an interval came twice"
            rows = slice(batch.starts[index], batch.starts[index + 1])
            found[key] = {
                trace.tenant_names[tenant]: cores
                for tenant, cores in zip(batch.tenant[rows], batch.used.cpu_cores[rows])  # noqa: B905 - columns of one batch
            }
            if not math.isnan(batch.own.cpu_cores[index]):
                found[key][""] = float(batch.own.cpu_cores[index])
    return found


def as_intervals(rows: list[Row]) -> dict[tuple[int, str], dict[str, float]]:
    expected: dict[tuple[int, str], dict[str, float]] = {}
    for time, host, tenant, cores in rows:
        expected.setdefault((time, host), {})[tenant] = cores
    return expected


@pytest.mark.parametrize("name", ["samples.csv", "samples.csv.gz", "samples.parquet"])
def test_every_form_reads_the_same(tmp_path: Path, name: str) -> None:
    trace = Trace.open(write(tmp_path, [line(row) for row in IN_ORDER], name=name))
    assert intervals(trace) == as_intervals(IN_ORDER)
    assert trace.in_time_order
    batches = list(trace.intervals())
    assert [length for batch in batches for length in batch.seconds] == [60.0] * 4
    weights = [weight for batch in batches for weight in batch.weight]
    assert weights == [1.0, 2.0, 4.5, 1.0, 3.0, 4.5]
    for batch in batches:
        assert set(batch.used.net_out_bytes_per_second) == {4.0}
        assert all(math.isnan(wait) for wait in batch.used.net_wait)
    assert trace.hosts["h1"].disk_ops_per_second is None
    assert trace.weights["h2", "c"] == 4.5


@given(data=st.data(), block_bytes=st.integers(150, 900))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_mixture_that_keeps_each_host_in_order_gives_the_same_intervals(
    tmp_path: Path, data: st.DataObject, block_bytes: int
) -> None:
    times = range(60, 60 * 8, 60)
    by_host = [
        [(t, h, tenant, t / 60) for t in times for tenant in data.draw(st.permutations(tenants))]
        for h, tenants in (("h1", ["", "a", "b"]), ("h2", ["a", "c"]))
    ]
    whose = data.draw(st.permutations([0] * len(by_host[0]) + [1] * len(by_host[1])))
    left = [iter(rows) for rows in by_host]
    rows = [next(left[host]) for host in whose]
    trace = Trace.open(write(tmp_path, [line(row) for row in rows]))
    # In one block: what a file turns into only later is allowed to be refused.
    assert intervals(trace) == as_intervals(rows)


@pytest.mark.parametrize("block_bytes", [200, 350, 1000])
@pytest.mark.parametrize("by", ["time", "host"])
def test_intervals_that_span_batches_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, by: str
) -> None:
    rows: list[Row] = [
        (time, host, tenant, time / 60)
        for time in range(60, 1200, 60)
        for host, tenant in (("h1", ""), ("h1", "a"), ("h1", "b"), ("h2", "a"), ("h2", "c"))
    ]
    if by == "host":
        rows.sort(key=lambda row: row[1])
    monkeypatch.setattr(tables, "_CSV_BLOCK_BYTES", block_bytes)
    trace = Trace.open(write(tmp_path, [line(row) for row in rows]))
    assert intervals(trace) == as_intervals(rows)
    assert trace.in_time_order == (by == "time")
    times = [time for batch in trace.intervals() for time in batch.time]
    assert (times == sorted(times)) == (by == "time")


def test_rows_of_one_interval_may_differ_in_length(tmp_path: Path) -> None:
    rows = [line(IN_ORDER[1], "60"), line(IN_ORDER[2], "30")]
    (batch,) = Trace.open(write(tmp_path, rows)).intervals()
    assert batch.row_seconds.tolist() == [60.0, 30.0]


@pytest.mark.parametrize(
    ("bad", "at", "reason"),
    [
        pytest.param("60,h1,a,60,x,1,2,3,4,,,", 3, "cpu_cores: ", id="not a number"),
        pytest.param("60,h1,a,60,-1,1,2,3,4,,,", 3, "cpu_cores: expected", id="negative"),
        pytest.param("60,h1,a,60,NaN,1,2,3,4,,,", 3, "cpu_cores: expected", id="NaN"),
        pytest.param("60,h1,a,60,inf,1,2,3,4,,,", 3, "cpu_cores: expected", id="infinite"),
        pytest.param("60,h1,a,60,1,1,2,3,4,1.5,,", 3, "cpu_wait: expected a share", id="wait"),
        pytest.param("60,h1,a,0,1,1,2,3,4,,,", 3, "seconds: expected", id="no length"),
        pytest.param("60,h1,a,,1,1,2,3,4,,,", 3, "seconds: expected", id="length missing"),
        pytest.param(",h1,a,60,1,1,2,3,4,,,", 3, "time: expected", id="no time"),
        pytest.param("60.5,h1,a,60,1,1,2,3,4,,,", 3, "time: ", id="part of a second"),
        pytest.param("60,h9,a,60,1,1,2,3,4,,,", 3, 'found "h9"', id="unknown host"),
        pytest.param("60,h1,z,60,1,1,2,3,4,,,", 3, 'found "z"', id="unknown tenant"),
        pytest.param("60,h1,c,60,1,1,2,3,4,,,", 3, 'host "h1"', id="tenant of another host"),
        pytest.param("60,h1,a,60,1", 3, "Expected 12 columns", id="short line"),
        pytest.param("", 3, "", id="empty line"),
        pytest.param(line((60, "h1", "", 1.0)), 3, "the host's own row again", id="repeat"),
        pytest.param(line((0, "h1", "a", 1.0)), 3, "in order of time", id="back in time"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_line(
    tmp_path: Path, bad: str, at: int, reason: str
) -> None:
    lines = [line(IN_ORDER[0]), bad, *map(line, IN_ORDER[4:])]
    trace = Trace.open(write(tmp_path, lines))
    with pytest.raises(TraceError) as refused:
        list(trace.intervals())
    assert str(refused.value).startswith(f"{tmp_path}/samples.csv:{at}:")
    assert reason in str(refused.value)


def test_a_repeat_far_into_the_file_names_its_line_and_the_first_one(tmp_path: Path) -> None:
    rows = [line((time, "h1", "a", 1.0)) for time in range(60, 6000, 60)]
    rows.insert(51, rows[50])
    with pytest.raises(TraceError, match=r"samples.csv:53: .*the first is at .*samples.csv:52"):
        list(Trace.open(write(tmp_path, rows)).intervals())


def test_a_parquet_file_names_the_row(tmp_path: Path) -> None:
    rows = [line(IN_ORDER[0]), line(IN_ORDER[0])]
    trace = Trace.open(write(tmp_path, rows, name="samples.parquet"))
    with pytest.raises(TraceError, match=r"samples.parquet: row 2: "):
        list(trace.intervals())


def test_missing_and_unknown_columns_are_named(tmp_path: Path) -> None:
    trace = Trace.open(write(tmp_path, [], header=HEADER.replace("net_wait", "waits")))
    with pytest.raises(TraceError, match=r"samples.csv:1: .*missing: net_wait; unknown: waits"):
        list(trace.intervals())


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [line((60 * i, "h1", "a", i / 7)) for i in range(500)], name="samples.csv.gz")
    path = tmp_path / "samples.csv.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TraceError, match=r"samples.csv.gz: cannot be read"):
        list(Trace.open(tmp_path).intervals())


def test_two_files_of_samples_are_refused(tmp_path: Path) -> None:
    write(tmp_path, [], name="samples.csv")
    write(tmp_path, [], name="samples.csv.gz")
    with pytest.raises(TraceError, match="remove all but one"):
        Trace.open(tmp_path)


@pytest.mark.parametrize(
    ("table", "text", "reason"),
    [
        ("hosts.csv", "h1,0,,,,", r"hosts.csv:2: cpu_cores: expected a number above 0"),
        ("hosts.csv", "h1,1,,,,\nh1,1,,,,", r"hosts.csv:3: expected each host once"),
        ("tenants.csv", "h1,a,0", r"tenants.csv:2: weight: expected a number above 0"),
        ("tenants.csv", "h1,a,", r"tenants.csv:2: weight"),
        ("tenants.csv", "h9,a,1", r'tenants.csv:2: host: .* found "h9"'),
        ("tenants.csv", "h1,,1", r"tenants.csv:2: tenant: expected a name"),
        ("tenants.csv", "h1,a,1\nh1,a,2", r"tenants.csv:3: expected each tenant of a host once"),
    ],
)
def test_small_tables_are_refused_by_line(
    tmp_path: Path, table: str, text: str, reason: str
) -> None:
    write(tmp_path, [])
    header = (tmp_path / table).read_text().splitlines()[0]
    (tmp_path / table).write_text(f"{header}\n{text}\n")
    with pytest.raises(TraceError, match=reason):
        Trace.open(tmp_path)
