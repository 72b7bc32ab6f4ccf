"""A keeper over the double, with a clock that is set by hand."""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.limiter.keeper import Keeper
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import LimiterState, LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance, Resource
from tests.limiter.double import CutJournal, KernelDouble, SetClock, Steps

ALDER = TenantPlace(tenant="alder", weight=1, cgroups=("/alder",), interfaces=("tap-alder",))
BIRCH = TenantPlace(tenant="birch", weight=1, cgroups=("/birch",), interfaces=("tap-birch",))


def cpu(cores: float, *, order: str = "o1", tenant: str = "alder", left: float = 60) -> LimitOrder:
    return LimitOrder(
        order=order,
        tenant=tenant,
        resource="cpu",
        allowance=Allowance(cores=cores),
        fair_share=Allowance(cores=1),
        remaining_seconds=left,
    )


def net(
    resource: Resource, rate: float, *, order: str, tenant: str = "alder", left: float = 60
) -> LimitOrder:
    return LimitOrder(
        order=order,
        tenant=tenant,
        resource=resource,
        allowance=Allowance(bytes_per_second=rate),
        fair_share=Allowance(bytes_per_second=500_000),
        remaining_seconds=left,
    )


def wish(
    *orders: LimitOrder, heard: float = 0, places: tuple[TenantPlace, ...] | None = None
) -> SetLimits:
    return SetLimits(
        orders=orders,
        places=(ALDER, BIRCH) if places is None else places,
        controller_heard_seconds_ago=heard,
    )


class Rig:
    """Two tenants on four cores, each entitled to two; both use everything they can."""

    def __init__(self, directory: Path, settings: LimiterSettings | None = None) -> None:
        self.path = directory / "journal"
        self.settings = settings or LimiterSettings()
        self.kernel = KernelDouble("/alder", "/alder2", "/birch", "tap-alder", "tap-birch")
        self.clock = SetClock()
        self.keeper = self.restart()

    def restart(self, steps: Steps | None = None, boot: str = "boot") -> Keeper:
        """A new process finds the journal and the kernel as the last one left them."""
        steps = steps or Steps()
        self.kernel.steps = steps
        self.keeper = Keeper(
            self.settings, self.kernel, CutJournal(self.path, steps), self.clock, boot
        )
        return self.keeper

    def use(self, seconds: float, **rates: float) -> None:
        """Time passes; every target uses what is given for it, or 3 cores or 1 MB/s."""
        for target in self.kernel.counters:
            usual = 3.0 if target.startswith("/") else 1e6
            name = target.strip("/").replace("-", "_")
            self.kernel.counters[target] += rates.get(name, usual) * seconds
        self.clock.now += seconds
        self.keeper.tick()

    def hold(self, *wishes: LimitOrder) -> LimiterState:
        """Order, and let the limiter see for itself."""
        self.keeper.set_limits(wish(*wishes))
        self.use(1)
        return self.keeper.state()

    def quota(self, target: str = "/alder") -> str:
        return self.kernel.read(self.kernel.knob("cpu-v1", target))["quota"]
