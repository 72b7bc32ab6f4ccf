"""The demo's tenants' cgroups: one group a tenant in every hierarchy that this machine mounts."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

PARENT = "fairuse-demo"
CONTROLLERS_OF_USE = ("cpu", "cpuacct", "blkio")
"""v1 hierarchies whose groups the agent reads or the limiter writes."""
_OPTIONAL_V2 = ("cpu", "io")
_NORMAL_SHARES, _NORMAL_WEIGHT = 1024, 100
_WEIGHT_FACTOR = 16
"""What all tenants together weigh, against another group, or on v1 against one task in the root
group. 64 was seen to keep the programs themselves waiting for seconds, 4 to give the tenants too
little on a machine with a load of 5 a core."""
_END_SECONDS = 5.0


class WorldError(Exception):
    """The demo's world cannot be made on this machine. The text says what lacks and what to do."""


class Hierarchies:
    """Where cgroups are mounted here: v1 controllers, and cgroup2 with or without controllers."""

    def __init__(self, mountinfo: str) -> None:
        """`mountinfo` is the text of /proc/self/mountinfo."""
        self.v1: dict[str, Path] = {}
        self.v2: Path | None = None
        for line in mountinfo.splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ")[:3]
            mount = Path(before.split(" ")[4])
            if kind == "cgroup2" and self.v2 is None:
                self.v2 = mount
            if kind == "cgroup":
                for name in set(options.split(",")) & set(CONTROLLERS_OF_USE):
                    self.v1.setdefault(name, mount)

    @classmethod
    def here(cls) -> Hierarchies:
        """Those of this machine."""
        return cls(Path("/proc/self/mountinfo").read_text())

    @property
    def mounts(self) -> tuple[Path, ...]:
        """Each mount once (cpu and cpuacct are often one)."""
        return tuple(dict.fromkeys([*self.v1.values(), *([self.v2] if self.v2 else [])]))

    def lacking(self) -> str:
        """What makes the demo impossible here, or nothing."""
        if self.v2 is None:
            return "no cgroup2 is mounted, so nobody's waiting can be measured"
        if "cpu" not in self.v1 and not _enabled(self.v2, "cpu"):
            return (
                f"the cpu controller is not enabled below {self.v2}; "
                f"enable it with: echo +cpu > {self.v2}/cgroup.subtree_control"
            )
        return ""

    def make(self, tenants: tuple[str, ...]) -> None:
        """Make the groups, with the controllers that a v2 hierarchy offers to them."""
        for mount in self.mounts:
            (mount / PARENT).mkdir(exist_ok=True)
        if self.v2 is not None:
            offered = [name for name in _OPTIONAL_V2 if _enabled(self.v2, name)]
            for name in offered:
                (self.v2 / PARENT / "cgroup.subtree_control").write_text(f"+{name}")
        self._outweigh_others()
        for group in (group for tenant in tenants for group in self.groups(tenant)):
            group.mkdir(exist_ok=True)

    def _outweigh_others(self) -> None:
        """What else runs on this machine should not decide what the tenants can get."""
        if "cpu" in self.v1:
            shares = self.v1["cpu"] / PARENT / "cpu.shares"
            shares.write_text(str(_NORMAL_SHARES * _WEIGHT_FACTOR))
        elif self.v2 is not None:
            weight = self.v2 / PARENT / "cpu.weight"
            weight.write_text(str(_NORMAL_WEIGHT * _WEIGHT_FACTOR))

    def groups(self, tenant: str) -> tuple[Path, ...]:
        """The tenant's group in every hierarchy."""
        return tuple(mount / PARENT / tenant for mount in self.mounts)

    def quota_file(self, tenant: str) -> Path:
        """The file that a CPU limit is written to."""
        if "cpu" in self.v1:
            return self.v1["cpu"] / PARENT / tenant / "cpu.cfs_quota_us"
        return self._unified(tenant) / "cpu.max"

    def stat_file(self, tenant: str) -> Path:
        """The file that tells the CPU time that the tenant has used."""
        return self._unified(tenant) / "cpu.stat"

    def pressure_file(self, tenant: str) -> Path:
        """The file that tells how long the tenant has waited for the CPU."""
        return self._unified(tenant) / "cpu.pressure"

    def _unified(self, tenant: str) -> Path:
        if self.v2 is None:
            raise WorldError(self.lacking())
        return self.v2 / PARENT / tenant

    def remove(self) -> None:
        """End whatever still runs in the demo's groups, then remove them."""
        for mount in self.mounts:
            parent = mount / PARENT
            if parent.is_dir():
                groups = [child for child in parent.iterdir() if child.is_dir()]
                for group in (*groups, parent):
                    _end_processes(group)
                    group.rmdir()


def _enabled(mount: Path, controller: str) -> bool:
    return controller in (mount / "cgroup.subtree_control").read_text().split()


def _end_processes(group: Path) -> None:
    """Only the demo puts processes there, so whatever is there is the demo's."""
    give_up = time.monotonic() + _END_SECONDS
    while pids := (group / "cgroup.procs").read_text().split():
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended by itself
        if time.monotonic() > give_up:
            raise WorldError(f"{group}: processes {', '.join(pids)} do not end")
        time.sleep(0.02)
