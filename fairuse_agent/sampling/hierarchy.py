"""Which cgroup hierarchies this host has mounted, and so where each figure is to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Mount points, None where there is none. On hybrid hosts v2 is there beside v1's: usage and
    pressure come from v2 then, throttling and disk figures from the v1 controllers."""

    v2: Path | None
    cpu_v1: Path | None
    cpuacct_v1: Path | None
    blkio_v1: Path | None

    @property
    def walked(self) -> tuple[Path, ...]:
        """Where tenants' cgroups can show: some managers make them in v1 alone."""
        return tuple(dict.fromkeys(root for root in (self.v2, self.cpuacct_v1) if root))


class NoHierarchyError(Exception):
    """No cgroup hierarchy that tells CPU usage is mounted."""


def find_hierarchies(cgroup_root: Path, proc_root: Path) -> Hierarchies:
    """Read the mounts at and below `cgroup_root`, or raise NoHierarchyError."""
    v2: Path | None = None
    v1: dict[str, Path] = {}
    mounts = proc_root / "self" / "mounts"
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        words = line.split(" ")
        if len(words) < 4 or words[2] not in ("cgroup", "cgroup2"):
            continue
        point = Path(words[1].replace("\\040", " "))
        if not point.is_relative_to(cgroup_root):
            continue
        if words[2] == "cgroup2":
            v2 = v2 or point
        else:
            for option in words[3].split(","):
                v1.setdefault(option, point)
    if v2 is None and "cpuacct" not in v1:
        raise NoHierarchyError(
            f"expected a cgroup2 or a cpuacct hierarchy mounted at or below {cgroup_root}, "
            f"found none in {mounts}; mount one, or start the agent where the host's is visible"
        )
    return Hierarchies(v2, v1.get("cpu"), v1.get("cpuacct"), v1.get("blkio"))
