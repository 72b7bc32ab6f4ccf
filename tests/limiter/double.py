"""A kernel in memory that can lose power between any two steps. It passes the same contract
tests as the real one (test_kernel_contract.py); what a state means is the real hands' own code."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fairuse_agent.limiter.journal import Journal, Ledger
from fairuse_agent.limiter.kernel import shaping, traffic
from fairuse_agent.limiter.kernel.cpu import CpuFiles
from fairuse_agent.limiter.kernel.freezer import Freezer
from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, KernelError, Knob
from fairuse_agent.limiter.kernel.mounts import Mounts
from fairuse_agent.limiter.kernel.probe import IngressWay
from fairuse_agent.limiter.leases import Clock
from fairuse_protocol.limits import Held, TenantPlace
from fairuse_protocol.messages import Allowance, Resource

UNTOUCHED: dict[str, Fields] = {
    "cpu-v1": {"quota": "max", "period": "100000", "burst": "0"},
    "shaper": {"root": shaping.DEFAULT, "rate": "none", "queue": "none", "tx_queue_len": "1000"},
    "ingress": dict.fromkeys(("qdisc", "filter", "ifb", "ifb_rate", "ifb_queue"), "none"),
    "freeze-v2": {"state": "running"},
}
_KIND: dict[Held, str] = {
    "cpu": "cpu-v1",
    "net-in": "shaper",
    "net-out": "ingress",
    "suspension": "freeze-v2",
}


class PowerCut(BaseException):
    """The process ended here. Not an Exception, so that nothing handles it."""


class Steps:
    """Counts steps and cuts the power after as many as `until`."""

    def __init__(self, until: int | None = None) -> None:
        self.taken = 0
        self.until = until

    def step(self) -> None:
        if self.until is not None and self.taken >= self.until:
            raise PowerCut
        self.taken += 1


class CutJournal(Journal):
    """The real journal, with a step before and after each save."""

    def __init__(self, path: Path, steps: Steps) -> None:
        super().__init__(path)
        self.steps = steps

    def save(self, ledger: Ledger) -> None:
        self.steps.step()
        super().save(ledger)
        self.steps.step()


class SetClock(Clock):
    """Stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def boottime(self) -> float:
        return self.now

    def epoch(self) -> float:
        return 1_790_000_000.0 + self.now


class KernelDouble:
    """cgroups (names with a slash) and interfaces, their states and counters."""

    def __init__(self, *targets: str, cores: float = 4.0) -> None:
        self.identities = {target: number for number, target in enumerate(targets, start=10)}
        self.states: dict[Knob, Fields] = {}
        self.counters: dict[str, float] = dict.fromkeys(targets, 0.0)
        self.steps = Steps()
        self.cores = cores
        self.broken = ""
        self.measured: set[Knob] = set()

    def ways(self) -> dict[str, str]:
        return dict.fromkeys(("cpu", "disk", "net-in", "net-out"), "double")

    def way(self, knob: Knob) -> str:
        return "double"

    def exists(self, place: TenantPlace) -> bool:
        return any(name in self.identities for name in (*place.cgroups, *place.interfaces))

    def capacity(self, resource: Resource) -> Allowance | None:
        return Allowance(cores=self.cores) if resource == "cpu" else None

    def knobs(self, resource: Held, place: TenantPlace, disks: tuple[str, ...]) -> list[Knob]:
        targets = place.cgroups if resource in ("cpu", "suspension") else place.interfaces
        return [self.knob(_KIND[resource], name) for name in targets if name in self.identities]

    def knob(self, kind: str, target: str) -> Knob:
        return Knob(kind=kind, target=target, identity=self.identities[target])  # type: ignore[arg-type]  # of the literals

    def measure(self, knob: Knob) -> dict[str, float]:
        self._check(knob)
        return {"cores" if knob.kind == "cpu-v1" else "bytes": self.counters[knob.target]}

    def fields(self, knob: Knob, amounts: Amounts, before: Fields) -> Fields:
        if knob.kind == "cpu-v1":
            return CpuFiles(Mounts()).fields(amounts, before)
        if knob.kind == "freeze-v2":
            return Freezer(Mounts()).fields(amounts, before)
        if knob.kind == "shaper":
            return traffic.Shaper().fields(amounts, before)
        return traffic.Ingress(IngressWay(police=False, classifier="u32")).fields(amounts, before)

    def read(self, knob: Knob) -> Fields:
        self._check(knob)
        return dict(self.states.get(knob, UNTOUCHED[knob.kind]))

    def write(self, knob: Knob, fields: Fields) -> None:
        self._check(knob)
        if self.broken:
            raise KernelError(self.broken)
        for name, value in fields.items():
            self.steps.step()
            self.states[knob] = {**self.read(knob), name: value}
        self.steps.step()

    def measure_only(self, knobs: Collection[Knob]) -> None:
        self.measured = set(knobs)

    def clean_up(self, knob: Knob) -> None:
        if knob.kind == "ingress" and knob in self.states:
            self.steps.step()
            self.states[knob] = {
                **self.states[knob],
                **dict.fromkeys(("ifb", "ifb_rate", "ifb_queue"), "none"),
            }

    def touched(self) -> dict[Knob, Fields]:
        """Everything that does not stand as it did in the beginning."""
        return {k: state for k, state in self.states.items() if state != UNTOUCHED[k.kind]}

    def remove(self, target: str) -> None:
        """The cgroup or interface goes, and its state with it, except for an IFB."""
        del self.identities[target]
        for knob in [knob for knob in self.states if knob.target == target]:
            if knob.kind != "ingress":
                del self.states[knob]

    def _check(self, knob: Knob) -> None:
        if self.identities.get(knob.target) != knob.identity:
            raise Gone(f"{knob.target} is gone")
