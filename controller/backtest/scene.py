"""One host for the length of an episode: what its tenants ask for may be changed here."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from controller.backtest.checks import Floats
from controller.backtest.hosting import CPU, DISK_BYTES, DISK_OPS, NET_IN, NET_OUT, Load
from fairuse_protocol.messages import Resource

_COLUMN: dict[Resource, int] = {
    "cpu": CPU,
    "disk": DISK_BYTES,
    "net-in": NET_IN,
    "net-out": NET_OUT,
}
SEQUENTIAL_BYTES, ORDINARY_BYTES, RANDOM_BYTES = 256 * 1024, 64 * 1024, 4 * 1024
"""Of one disk operation: a backup's, a mixed load's, a database's."""


@dataclass(slots=True)
class Scene:
    """A copy of one host's demand over an episode, and who plays which part in it."""

    load: Load
    seconds: int
    random: np.random.Generator
    big_plan: int | None
    """The tenant that was given a large plan on this host."""
    extra_waits: Floats = field(init=False)
    """Wait column x interval x tenant: waiting with a cause that the model does not know."""

    def __post_init__(self) -> None:
        self.extra_waits = np.zeros((3, *self.load.demand.shape[1:]))

    @property
    def intervals(self) -> int:
        """The episode's length."""
        return int(self.load.demand.shape[1])

    def minutes(self, count: float) -> int:
        """How many intervals that is, one at least."""
        return max(1, round(count * 60 / self.seconds))

    @property
    def present(self) -> list[int]:
        """The tenants that are there."""
        return [int(tenant) for tenant in np.flatnonzero(self.load.present[0])]

    def entitled(self) -> Floats:
        """Each tenant's part of the host, when the episode begins."""
        first: Floats = self.load.entitled_share()[0]
        return first

    def share(self, resource: Resource) -> Floats:
        """Interval x tenant: what is asked for, over the host's capacity."""
        if resource == "disk":
            return np.maximum(self.load.share_asked(DISK_BYTES), self.load.share_asked(DISK_OPS))
        return self.load.share_asked(_COLUMN[resource])

    def others(self, resource: Resource, tenants: tuple[int, ...]) -> float:
        """The mean of what all others ask for together, over the host's capacity."""
        return float(np.delete(self.share(resource), tenants, axis=1).sum(axis=1).mean())

    def pick(self, count: int = 1) -> tuple[int, ...]:
        """That many tenants, by chance; never the one with the big plan."""
        there = [tenant for tenant in self.present if tenant != self.big_plan]
        return tuple(int(t) for t in self.random.choice(there, size=count, replace=False))

    def steady(self, level: float) -> Floats:
        """That level for the whole episode, with a program's ordinary unrest."""
        return level * self.random.lognormal(0.0, 0.05, self.intervals)

    def ask(
        self, tenant: int, resource: Resource, share: Floats, operation_bytes: int = ORDINARY_BYTES
    ) -> None:
        """Let a tenant ask for this share of the host's capacity, on top of what it does anyway.

        For the disk, the share is of whichever of bytes and operations runs out first.
        """
        demand, capacity = self.load.demand, self.load.capacity
        if resource != "disk":
            column = _COLUMN[resource]
            demand[column, :, tenant] += share * capacity[column]
            return
        operations = np.full(
            self.intervals,
            min(capacity[DISK_BYTES] / operation_bytes, capacity[DISK_OPS]),
        )
        demand[DISK_BYTES, :, tenant] += share * operations * operation_bytes
        demand[DISK_OPS, :, tenant] += share * operations

    def put_to_work(
        self,
        resource: Resource,
        spared: tuple[int, ...],
        low: float,
        high: float,
        count: int | None = None,
    ) -> None:
        """Let neighbours ask for low to high of their entitlements: customers at work, not idle.

        `count` of them by chance; without it all.
        """
        entitled, share = self.entitled(), self.share(resource).mean(axis=0)
        chosen = [tenant for tenant in self.present if tenant not in spared]
        if count is not None:
            chosen = self.random.choice(chosen, min(count, len(chosen)), replace=False).tolist()
        for tenant in chosen:
            wanted = entitled[tenant] * self.random.uniform(low, high)
            if wanted > share[tenant]:
                self.ask(tenant, resource, self.steady(wanted - share[tenant]))

    def silence(self, resource: Resource) -> None:
        """Take away what everybody asks for of the resource."""
        columns = [DISK_BYTES, DISK_OPS] if resource == "disk" else [_COLUMN[resource]]
        for column in columns:
            self.load.demand[column][:, self.present] = 0.0
