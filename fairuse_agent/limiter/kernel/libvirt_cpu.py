"""CPU of libvirt domains: one quota for each of a domain's virtual CPUs, by libvirt.

An order is for all that a domain uses. Its emulator and I/O threads are never held back
themselves, so that disk and network go on; what they use counts, and the virtual CPUs get the
rest of the order, but never less than half of it. libvirt knows one quota for every virtual CPU
alike: it is set so that they reach their part together, given how unevenly they are used now, and
set anew when that changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, Knob, Refused
from fairuse_agent.limiter.kernel.libvirt_calls import LIVE, Libvirt, check_scope, domain_id
from fairuse_agent.limiter.kernel.mounts import Mounts

Result = TypeVar("Result")

UNLIMITED = "max"
_UNLIMITED_FROM = 2**44 - 1
"""What libvirt tells for no quota on cgroup v2: the kernel's largest (MAX_BW, kernel/sched), or
2^64/1000 in older versions; -1 on v1. It takes any negative number for no quota."""
SMALLEST_QUOTA_MICROSECONDS = 1_000
LONGEST_PERIOD_MICROSECONDS = 1_000_000
"""Bounds of libvirt's and the kernel's (VIR_CGROUP_CPU_QUOTA_MIN, VIR_CGROUP_CPU_PERIOD_MAX)."""

VCPUS_PART = 0.5
"""The virtual CPUs' least part of an order, however much the emulator uses."""
WORTH_SETTING_ANEW = 0.05
SHORTEST_MEASURE_SECONDS = 0.5
"""libvirt tells times in ticks of 10 ms: over less, they say little."""


@dataclass(frozen=True)
class _Use:
    """Core-seconds at one moment, and cores since the reading before (None at the first one)."""

    at: float
    total: float
    vcpus: tuple[float, ...]
    rates: tuple[float, ...] | None = None
    other_rate: float = 0.0


def cores_for_each(order: float, vcpus: Sequence[float], other: float) -> float:
    """The quota of each virtual CPU, in cores, for an order of so many cores together.

    `vcpus` is what each uses now, `other` what the rest of the domain does. Where one is used
    more than others, it gets more than an equal part: with the quota q at the busiest one's use
    this is the q with sum(min(use, q)) = order - other, and it is approached from anywhere.
    """
    part = max(order - other, VCPUS_PART * order)
    used = sum(vcpus)
    if used <= 0:
        return min(1.0, part / len(vcpus))
    return min(1.0, part * max(vcpus) / used)


class VcpuQuotas:
    """`vcpu_quota` and `vcpu_period` (microseconds; quota may be "max") of running domains."""

    def __init__(self, libvirt: Libvirt, mounts: Mounts) -> None:
        self._libvirt = libvirt
        self._mounts = mounts
        self._use: dict[Knob, _Use] = {}
        self._shares: dict[Knob, float] = {}
        """Each virtual CPU's part of an order, as it was set last."""

    def knob(self, cgroup: str) -> Knob:
        """The knob of the domain with this scope. Raises Gone."""
        return Knob(kind="libvirt-cpu", target=cgroup, identity=check_scope(self._mounts, cgroup))

    def measure(self, knob: Knob, total: float) -> None:
        """Note how the domain's use is spread; `total` is its core-seconds."""
        seconds = self._ask(knob, lambda domain: [vcpu[2] / 1e9 for vcpu in domain.vcpus()[0]])
        last, now = self._use.get(knob), time.monotonic()
        if last is None or len(last.vcpus) != len(seconds):
            self._use[knob] = _Use(now, total, tuple(seconds))
            return
        passed = now - last.at
        if passed < SHORTEST_MEASURE_SECONDS:
            return
        pairs = zip(seconds, last.vcpus, strict=True)
        rates = tuple(max(0.0, (new - old) / passed) for new, old in pairs)
        other = max(0.0, (total - last.total) / passed - sum(rates))
        self._use[knob] = _Use(now, total, tuple(seconds), rates, other)

    def fields(self, knob: Knob, amounts: Amounts, before: Fields) -> Fields:
        """The quota for these cores together, in the period that stands. A tighter one of the
        domain's owner stays; Refused where that is as tight for all together."""
        each, count = self._each(knob, amounts)
        if before["vcpu_quota"] != UNLIMITED:
            owners = int(before["vcpu_quota"]) / int(before["vcpu_period"])
            if owners * count <= amounts["cores"]:
                raise Refused(
                    f"its {count} virtual CPUs are held to {owners:.3g} cores each already"
                    f" (vcpu_quota), which is no more than the {amounts['cores']:.3g} ordered",
                    promise=3,
                )
            each = min(each, owners)
        period = int(before["vcpu_period"])
        if each * period < SMALLEST_QUOTA_MICROSECONDS:
            period = LONGEST_PERIOD_MICROSECONDS
        quota = max(SMALLEST_QUOTA_MICROSECONDS, round(each * period))
        return {"vcpu_quota": str(quota), "vcpu_period": str(period)}

    def read(self, knob: Knob) -> Fields:
        """How the domain stands."""
        return self._ask(knob, _standing)

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set what differs for what runs now. In the domain's live XML, "max" stays as
        <quota>-1</quota> where none was told before: libvirt has no call that takes it out."""

        def set_them(domain: Any) -> None:
            found = _standing(domain)
            wanted = {
                name: -1 if value == UNLIMITED else int(value)
                for name, value in fields.items()
                if value != found[name]
            }
            if wanted:
                domain.setSchedulerParametersFlags(wanted, LIVE)

        self._ask(knob, set_them)

    def _each(self, knob: Knob, amounts: Amounts) -> tuple[float, int]:
        """Cores for each virtual CPU, and how many there are. As it was set last unless use is
        spread so differently by now that it is worth another."""
        order, use = amounts["cores"], self._use.get(knob)
        if use is None:
            count = self._ask(knob, lambda domain: len(domain.vcpus()[0]))
            return cores_for_each(order, [0.0] * count, 0.0), count
        rates = use.rates or [0.0] * len(use.vcpus)
        each = cores_for_each(order, rates, use.other_rate)
        standing = self._shares.get(knob, 0.0) * order
        if abs(each - standing) <= WORTH_SETTING_ANEW * standing:
            return standing, len(use.vcpus)
        self._shares[knob] = each / order
        return each, len(use.vcpus)

    def _ask(self, knob: Knob, question: Callable[[Any], Result]) -> Result:
        number = domain_id(knob.target)
        if number is None:
            raise Gone(f"{knob.target} is no domain's scope")
        check_scope(self._mounts, knob.target, knob.identity)
        return self._libvirt.ask(knob.target, lambda host: question(host.lookupByID(number)))


def _standing(domain: Any) -> Fields:
    told = domain.schedulerParametersFlags(LIVE)
    quota = int(told["vcpu_quota"])
    unlimited = quota <= 0 or quota >= _UNLIMITED_FROM
    return {
        "vcpu_period": str(told["vcpu_period"]),
        "vcpu_quota": UNLIMITED if unlimited else str(quota),
    }
