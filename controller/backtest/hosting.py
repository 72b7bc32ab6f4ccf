"""One host over time: what its tenants ask for goes in; what they use and wait comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from controller.backtest.checks import Floats
from controller.backtest.delivery import (
    cpu_waiting,
    disk_waiting,
    max_min_shares,
    net_waiting,
    network_loss,
    proportional_shares,
)

CPU, DISK_BYTES, DISK_OPS, NET_IN, NET_OUT = range(5)
"""Places in the order of layout.USE_COLUMNS."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of one host. NaN in `demand` is a tenant that is not there or not measured."""

    demand: Floats
    """Use column x interval x tenant."""
    weights: Floats
    capacity: tuple[float, ...]
    """In the order of the use columns; NaN where nothing limits the tenants."""

    @property
    def present(self) -> Floats:
        """Interval x tenant: 1 where the tenant is there, else 0."""
        present: Floats = np.any(~np.isnan(self.demand), axis=0).astype(np.float64)
        return present

    def entitled_share(self) -> Floats:
        """Interval x tenant: each one's part of the host, weight over the weights present."""
        weight = self.present * self.weights
        total = weight.sum(axis=1, keepdims=True)
        share: Floats = weight / np.where(total > 0, total, 1.0)
        return share

    def asked(self, column: int) -> Floats:
        """Interval x tenant, 0 for NaN."""
        asked: Floats = np.nan_to_num(self.demand[column], nan=0.0)
        return asked

    def share_asked(self, column: int) -> Floats:
        """As `asked`, over the host's capacity; 0 where nothing limits it."""
        capacity = self.capacity[column]
        if np.isnan(capacity):
            return np.zeros_like(self.demand[column])
        return self.asked(column) / capacity


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a host's tenants got and waited, as a trace records it."""

    used: Floats
    """Use column x interval x tenant, NaN where nothing was measured."""
    waits: Floats
    """Wait column (cpu, io, net) x interval x tenant."""
    own_waits: Floats
    """Wait column x interval: the host's own pressure."""


def deliver(load: Load) -> Delivered:
    """The delivery and waiting model on one host."""
    shape = load.demand.shape[1:]
    used = load.demand.copy()
    waits, own = np.zeros((3, *shape)), np.zeros((3, shape[0]))
    cores = load.capacity[CPU]
    if not np.isnan(cores):
        asked = load.asked(CPU)
        used[CPU] = max_min_shares(asked, load.weights, cores)
        waits[0], own[0] = cpu_waiting(asked, used[CPU], cores)
    shares, disk_load = disk_load_of(load)
    for column in (DISK_BYTES, DISK_OPS):
        used[column] = proportional_shares(load.asked(column), disk_load)
    waits[1], own[1] = disk_waiting(shares, disk_load)
    losses = []
    for column in (NET_IN, NET_OUT):
        direction = load.share_asked(column).sum(axis=1)
        used[column] = proportional_shares(load.asked(column), direction)
        losses.append(network_loss(direction))
    waits[2], own[2] = net_waiting(load.asked(NET_IN), load.asked(NET_OUT), *losses)
    used[np.isnan(load.demand)] = np.nan
    for wait, columns in enumerate(((CPU,), (DISK_BYTES, DISK_OPS), (NET_IN, NET_OUT))):
        unmeasured: npt.NDArray[np.bool_] = np.all(np.isnan(load.demand[list(columns)]), axis=0)
        waits[wait][unmeasured] = np.nan
        own[wait][unmeasured.all(axis=1)] = np.nan
    return Delivered(used, waits, own)


def disk_load_of(load: Load) -> tuple[Floats, Floats]:
    """Each tenant's share of what the disk can do, and the disk's load: the larger of bytes and
    operations, which both take the same disk's time."""
    by_bytes, by_ops = load.share_asked(DISK_BYTES), load.share_asked(DISK_OPS)
    return np.maximum(by_bytes, by_ops), np.maximum(by_bytes.sum(axis=1), by_ops.sum(axis=1))
