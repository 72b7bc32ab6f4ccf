"""What a trace's columns mean to the rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.backtest.measuring import Measurer
from controller.backtest.trace import Trace
from controller.fairshare.measured import ROW, Measured

HOSTS = (
    "host,cpu_cores,disk_bytes_per_second,disk_ops_per_second,"
    "net_in_bytes_per_second,net_out_bytes_per_second\n"
)
SAMPLES = (
    "time,host,tenant,seconds,cpu_cores,disk_bytes_per_second,disk_ops_per_second,"
    "net_in_bytes_per_second,net_out_bytes_per_second,cpu_wait,io_wait,net_wait\n"
)


def measured(path: Path, host: str, *rows: str) -> Measured:
    """One interval: the host's capacities, and rows from the tenant's name on."""
    (path / "hosts.csv").write_text(f"{HOSTS}h1,{host}\n")
    tenants = [row.split(",")[0] for row in rows if not row.startswith(",")]
    (path / "tenants.csv").write_text(
        "host,tenant,weight\n" + "".join(f"h1,{tenant},1\n" for tenant in tenants)
    )
    lines = "".join(f"1700000060,h1,{row}\n" for row in rows)
    (path / "samples.csv").write_text(SAMPLES + lines)
    trace = Trace.open(path)
    (batch,) = trace.intervals()
    table, hosts = Measurer(trace).measure(batch)
    assert hosts == ["h1"]
    return table


def test_waiting_for_the_network_is_put_down_to_the_direction_that_is_full(tmp_path: Path) -> None:
    table = measured(
        tmp_path,
        "8,,,1000,1000",
        "a,60,1,0,0,400,0,0,0,0.2",
        "b,60,1,0,0,0,990,0,0,0.3",
    )
    assert table.host_waiting[ROW["net-out"], 0] == pytest.approx(0.3)
    assert table.host_waiting[ROW["net-in"], 0] == 0.0
    assert table.waiting[ROW["net-in"]].tolist() == [0.0, 0.0]


def test_of_a_direction_of_unknown_capacity_the_other_ones_room_tells(tmp_path: Path) -> None:
    table = measured(tmp_path, "8,,,1000,", "a,60,1,0,0,300,5000,0,0,0.2")
    assert table.host_waiting[ROW["net-out"], 0] == pytest.approx(0.2)
    assert table.host_waiting[ROW["net-in"], 0] == 0.0


def test_the_worst_of_the_tenants_stands_for_a_host_that_tells_no_waiting(tmp_path: Path) -> None:
    rows = "a,60,4,0,0,0,0,0.1,,", "b,60,4,0,0,0,0,0.6,,"
    assert measured(tmp_path, "8,,,,", *rows).host_waiting[ROW["cpu"], 0] == pytest.approx(0.6)


def test_the_uplinks_waiting_stands_for_tenants_whose_own_was_not_measured(tmp_path: Path) -> None:
    table = measured(
        tmp_path, "8,,,1000,1000", ",60,0,0,0,0,0,,,0.4", "a,60,1,0,0,0,990,,,", "b,60,1,0,0,0,9,,,"
    )
    assert table.waiting[ROW["net-out"]].tolist() == pytest.approx([0.4, 0.4])
    assert np.isnan(table.waiting[ROW["cpu"]]).all()


def test_what_no_tenant_accounts_for_counts_as_use_of_the_host(tmp_path: Path) -> None:
    table = measured(tmp_path, "8,,,,", ",60,2,0,0,0,0,0.5,,", "a,60,4,0,0,0,0,0.5,,")
    assert table.utilisation[ROW["cpu"], 0] == pytest.approx(6 / 8)
