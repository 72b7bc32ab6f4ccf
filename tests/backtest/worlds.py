"""Demand for tests: hosts of tenants that ask for a steady, modest amount of everything."""

from __future__ import annotations

import numpy as np

from controller.backtest.demand import Demand
from controller.backtest.layout import HostCapacity

CAPACITY = HostCapacity(16.0, 100e6, 5000.0, 100e6, 100e6)
BEGIN = 1_700_000_040


def steady_demand(
    *, hosts: int = 1, tenants: int = 8, minutes: int = 60, share: float = 0.05
) -> Demand:
    """Everyone asks for `share` of everything, in intervals of a minute."""
    names = [f"h{number}" for number in range(hosts)]
    capacity = np.array(CAPACITY.figures(), dtype=np.float32)
    figures = np.ones((5, minutes, hosts * tenants), dtype=np.float32) * share
    return Demand(
        ends=BEGIN + 60 * np.arange(1, minutes + 1, dtype=np.int64),
        seconds=60,
        capacities=dict.fromkeys(names, CAPACITY),
        tenants=tuple((host, f"{host}t{index}") for host in names for index in range(tenants)),
        weights=np.ones(hosts * tenants),
        figures=figures * capacity[:, np.newaxis, np.newaxis],
    )
