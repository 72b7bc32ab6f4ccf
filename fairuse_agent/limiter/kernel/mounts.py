"""Where the cgroup hierarchies are mounted, and which of them holds which controller."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from fairuse_agent.limiter.kernel.knobs import Gone, KernelError, Knob, Refused

LONGEST_NAME_BYTES = 255
"""NAME_MAX (linux/limits.h)."""
LONGEST_PATH_BYTES = 3000
"""PATH_MAX (4096) less room for the mount and the file."""


@dataclass(frozen=True)
class Mounts:
    """The hierarchies of this host. `v1` is by controller; `v2_controllers` are those that the
    cgroup2 mount has (none in hybrid mode)."""

    v2: Path | None = None
    v2_controllers: frozenset[str] = frozenset()
    v1: dict[str, Path] = field(default_factory=dict)

    def roots(self) -> list[Path]:
        """Every hierarchy."""
        return [*([self.v2] if self.v2 else []), *self.v1.values()]

    def root_of(self, controller: str, v1_name: str) -> tuple[Path, int] | None:
        """The hierarchy that limits by `controller`, and its version."""
        if self.v2 is not None and controller in self.v2_controllers:
            return self.v2, 2
        if v1_name in self.v1:
            return self.v1[v1_name], 1
        return None


def read_mounts(proc_mounts: Path = Path("/proc/self/mounts")) -> Mounts:
    """Look the mounts up."""
    v2, controllers = None, frozenset[str]()
    v1: dict[str, Path] = {}
    for line in proc_mounts.read_text().splitlines():
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup2" and v2 is None:
            v2 = Path(point)
            controllers = frozenset((v2 / "cgroup.controllers").read_text().split())
        elif kind == "cgroup":
            for name in options.split(","):
                if name in ("cpu", "cpuacct", "blkio", "freezer"):
                    v1.setdefault(name, Path(point))
    return Mounts(v2=v2, v2_controllers=controllers, v1=v1)


def checked(cgroup: str) -> str:
    """The path below a mount, without its leading slash, or Refused for one that is not plain."""
    parts = cgroup.split("/")
    plain = not parts[0] and len(parts) > 1 and "\0" not in cgroup
    if not plain or any(part in ("", ".", "..") for part in parts[1:]):
        raise Refused(
            f"{cgroup[:100]!r}: expected a cgroup path such as '/tenants/alder', below the root"
            " group"
        )
    longest = max(len(os.fsencode(part)) for part in parts)
    if longest > LONGEST_NAME_BYTES or len(os.fsencode(cgroup)) > LONGEST_PATH_BYTES:
        raise Refused(
            f"{cgroup[:100]}...: expected a cgroup path of at most {LONGEST_PATH_BYTES} bytes with"
            f" at most {LONGEST_NAME_BYTES} between slashes"
        )
    return cgroup[1:]


def identity_of(root: Path, cgroup: str) -> int:
    """The inode of the group's directory, which a group made anew under its name will not have."""
    try:
        return (root / checked(cgroup)).stat().st_ino
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Gone(f"{root}{cgroup} does not exist") from error


def group_of(root: Path, knob: Knob) -> Path:
    """The group's directory, or Gone when another group has its name now."""
    if identity_of(root, knob.target) != knob.identity:
        raise Gone(f"{root}{knob.target} was removed, and another group has its name")
    return root / checked(knob.target)


def read_text(path: Path, what_else: str) -> str:
    """The content of a kernel file. A missing file in a present group is a KernelError that
    says `what_else` may be needed; a missing group is Gone."""
    try:
        return path.read_text()
    except OSError as error:
        if not path.parent.is_dir():
            raise Gone(f"{path.parent} does not exist") from error
        raise KernelError(f"{path} cannot be read ({error.strerror}): {what_else}") from error


def write_text(path: Path, text: str, what_else: str) -> None:
    """Write a kernel file in one write call, with errors as for `read_text`."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
    except OSError as error:
        if not path.parent.is_dir():
            raise Gone(f"{path.parent} does not exist") from error
        raise KernelError(
            f'"{text}" could not be written to {path} ({error.strerror}): {what_else}'
        ) from error
