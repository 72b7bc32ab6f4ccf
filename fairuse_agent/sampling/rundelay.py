"""How long tasks were ready and did not run: CPU waiting where the kernel has no PSI.

Dearer than PSI (a file a task instead of one a cgroup) and a lower bound: the task that waited
longest stands for "at least one task waited".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fairuse_agent.sampling.parse import increase

_PSEUDO_BYTES = 1 << 20


class RunDelay:
    """Run delays of the tasks of watched cgroups, from one round to the next."""

    def __init__(self, proc_root: Path, root: Path) -> None:
        """`root` is the mount of the hierarchy in which the tenants' processes are."""
        self._proc = str(proc_root)
        self._root = str(root)
        self._before: dict[str, dict[str, int]] = {}
        self._totals: dict[str, int] = {}

    def available(self) -> bool:
        """Does this kernel keep run delays at all?"""
        return _delay_of(f"{self._proc}/self/schedstat") is not None

    def total_microseconds(self, path: str) -> int | None:
        """A counter: grows in each call by the longest that one task of the cgroup `path` waited
        since the last one. None when the cgroup cannot be read."""
        try:
            now = self._delays(path)
        except OSError:
            self.forget(path)
            return None
        before = self._before.get(path)
        self._before[path] = now
        if before is None:
            self._totals[path] = 0
        else:
            waited = (increase(before.get(task, 0), delay) for task, delay in now.items())
            self._totals[path] += max(waited, default=0) // 1000
        return self._totals[path]

    def forget(self, path: str) -> None:
        """The cgroup is gone."""
        self._before.pop(path, None)
        self._totals.pop(path, None)

    def _delays(self, path: str) -> dict[str, int]:
        delays: dict[str, int] = {}
        for process in _processes(self._root + path):
            tasks = f"{self._proc}/{process}/task"
            try:
                names = os.listdir(tasks)  # noqa: PTH208 (names only)
            except OSError:
                continue  # It ended meanwhile.
            for name in names:
                delay = _delay_of(f"{tasks}/{name}/schedstat")
                if delay is not None:
                    delays[name] = delay
        return delays


def _processes(folder: str) -> Iterator[str]:
    """Process ids of a cgroup and all below it. Raises OSError when the cgroup is gone."""
    yield from _text(f"{folder}/cgroup.procs").split()
    with os.scandir(folder) as entries:
        below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for child in below:
        try:
            yield from _processes(child)
        except OSError:
            continue  # Gone since it was listed.


def _delay_of(file: str) -> int | None:
    """Nanoseconds that a task waited so far: the second of schedstat's three numbers."""
    try:
        words = _text(file).split()
        return int(words[1])
    except (OSError, IndexError, ValueError):
        return None


def _text(file: str) -> str:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return os.read(descriptor, _PSEUDO_BYTES).decode("ascii", "replace")
    finally:
        os.close(descriptor)
