"""CPU quotas in cgroup files, version 2 (cpu.max) and version 1 (cpu.cfs_quota_us)."""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import (
    Mounts,
    checked,
    group_of,
    identity_of,
    read_text,
    write_text,
)

PERIOD_MICROSECONDS = 100_000
"""The kernel's own default. Shorter ones lose accuracy (10 ms: 4 % of a full core)."""

SMALLEST_QUOTA_MICROSECONDS = 1_000
"""min_cfs_quota_period in kernel/sched/core.c."""

UNLIMITED = "max"
_NOT_ENABLED = "is the cpu controller enabled for this group (cgroup.subtree_control)?"
_NESTED = (
    "a group below it has a larger quota of its own, or one above a smaller, which cgroup v1"
    " does not allow"
)


class CpuFiles:
    """The `quota`, `period` and `burst` (microseconds; quota may be "max") of one group.

    A burst allowance is switched off while a limit stands: it has to be lowered before the quota
    is put under it, and would let the group exceed the order.
    """

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts

    def way(self) -> str | None:
        """Which file is used here, or None without a cpu controller."""
        found = self._mounts.root_of("cpu", "cpu")
        if found is None:
            return None
        return "cgroup v2 cpu.max" if found[1] == 2 else "cgroup v1 cpu.cfs_quota_us"

    def knob(self, cgroup: str) -> Knob:
        """The knob of a group. Raises Gone, or Refused without a cpu controller."""
        found = self._mounts.root_of("cpu", "cpu")
        if found is None:
            raise Refused("this host has no cgroup hierarchy with a cpu controller")
        root, version = found
        return Knob(
            kind="cpu-v2" if version == 2 else "cpu-v1",
            target=cgroup,
            identity=identity_of(root, cgroup),
        )

    def measure(self, cgroup: str) -> dict[str, float]:
        """Core-seconds used by the group. Raises Refused where no hierarchy counts them."""
        below = checked(cgroup)
        if self._mounts.v2 is not None and (self._mounts.v2 / below).is_dir():
            for line in read_text(self._mounts.v2 / below / "cpu.stat", _NOT_ENABLED).splitlines():
                name, _, value = line.partition(" ")
                if name == "usage_usec":
                    return {"cores": int(value) / 1e6}
        if "cpuacct" in self._mounts.v1 and (self._mounts.v1["cpuacct"] / below).is_dir():
            usage = self._mounts.v1["cpuacct"] / below / "cpuacct.usage"
            return {"cores": int(read_text(usage, "is cpuacct there?")) / 1e9}
        raise Refused(
            f"{cgroup}: its CPU use cannot be measured: the group is neither in the cgroup2"
            " hierarchy nor in cpuacct",
            promise=4,
        )

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """The quota for these cores. Refused under a tighter one of somebody else."""
        standing = cores_of(before)
        if standing is not None and standing <= amounts["cores"]:
            raise Refused(
                f"somebody else holds it to {standing:.3g} cores already, which is no more than"
                f" the {amounts['cores']:.3g} ordered",
                promise=3,
            )
        quota = max(round(amounts["cores"] * PERIOD_MICROSECONDS), SMALLEST_QUOTA_MICROSECONDS)
        wanted = {"quota": str(quota), "period": str(PERIOD_MICROSECONDS)}
        return {**wanted, "burst": "0"} if "burst" in before else wanted

    def read(self, knob: Knob) -> Fields:
        """How the group stands. `burst` is left out on kernels without it."""
        group = self._group(knob)
        if knob.kind == "cpu-v2":
            quota, period = read_text(group / "cpu.max", _NOT_ENABLED).split()
            burst = group / "cpu.max.burst"
        else:
            quota = read_text(group / "cpu.cfs_quota_us", _NOT_ENABLED).strip()
            quota = UNLIMITED if quota == "-1" else quota
            period = read_text(group / "cpu.cfs_period_us", _NOT_ENABLED).strip()
            burst = group / "cpu.cfs_burst_us"
        fields = {"quota": quota, "period": period}
        if burst.exists():
            fields["burst"] = read_text(burst, _NOT_ENABLED).strip()
        return fields

    def write(self, knob: Knob, fields: Fields) -> None:
        """Burst first when it goes to 0, last when it comes back: it may not exceed the quota."""
        group = self._group(knob)
        burst = fields.get("burst")
        name = "cpu.max.burst" if knob.kind == "cpu-v2" else "cpu.cfs_burst_us"
        if burst == "0":
            write_text(group / name, burst, _NOT_ENABLED)
        if knob.kind == "cpu-v2":
            write_text(group / "cpu.max", f"{fields['quota']} {fields['period']}", _NOT_ENABLED)
        else:
            _write_v1(group, fields)
        if burst not in (None, "0"):
            write_text(group / name, str(burst), _NOT_ENABLED)

    def _group(self, knob: Knob) -> Path:
        found = self._mounts.root_of("cpu", "cpu")
        if found is None:
            raise KernelError("the cgroup hierarchy with the cpu controller is not mounted now")
        return group_of(found[0], knob)


def _write_v1(group: Path, fields: Fields) -> None:
    """Without a change of period the quota is one write. With one, the quota is taken off in
    between, because each of the two files is checked against the other as it is written."""
    quota = "-1" if fields["quota"] == UNLIMITED else fields["quota"]
    period = group / "cpu.cfs_period_us"
    if read_text(period, _NOT_ENABLED).strip() != fields["period"]:
        write_text(group / "cpu.cfs_quota_us", "-1", _NESTED)
        write_text(period, fields["period"], _NESTED)
    write_text(group / "cpu.cfs_quota_us", quota, _NESTED)


def cores_of(fields: Fields) -> float | None:
    """The quota in cores, None when there is none."""
    if fields["quota"] == UNLIMITED:
        return None
    return int(fields["quota"]) / int(fields["period"])
