"""What no tenant owns although it uses the host: the other side of attribution."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from fairuse_agent.sampling import parse
from fairuse_agent.sampling.hierarchy import Hierarchies

_UNIT = re.compile(r".+\.(?:service|scope)|user-\d+\.slice")
"""What a person thinks of as one thing; slices are looked into."""
_DEPTH = 6


def unowned_cpu_seconds(hierarchies: Hierarchies, owned: Collection[str]) -> dict[str, float]:
    """CPU seconds that each cgroup without an owner has used so far, by path.

    One line a unit, or a cgroup without children; none for what has a tenant below it.
    """
    above = {path[:end] for path in owned for end, char in enumerate(path) if char == "/"}
    found: dict[str, float] = {}
    for root in hierarchies.walked:
        for path in _leaves(str(root), "", set(owned), above):
            seconds = _cpu_seconds(hierarchies, path)
            if seconds is not None:
                found[path] = seconds
    return found


def _leaves(root: str, path: str, owned: set[str], above: set[str]) -> Iterator[str]:
    try:
        with os.scandir(root + path) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return  # Gone meanwhile.
    looked_into = path in above or (
        names and path.count("/") < _DEPTH and _UNIT.fullmatch(path.rpartition("/")[2]) is None
    )
    if path and not looked_into:
        yield path
        return
    for name in names:
        child = f"{path}/{name}"
        if child not in owned:
            yield from _leaves(root, child, owned, above)


def _cpu_seconds(hierarchies: Hierarchies, path: str) -> float | None:
    if (text := _read(hierarchies.v2, path, "cpu.stat")) is not None:
        microseconds = parse.field(text, parse.USAGE)
        return None if microseconds is None else microseconds / 1e6
    if (text := _read(hierarchies.cpuacct_v1, path, "cpuacct.usage")) is not None:
        nanoseconds = parse.number(text)
        return None if nanoseconds is None else nanoseconds / 1e9
    return None


def _read(root: Path | None, path: str, file: str) -> bytes | None:
    if root is None:
        return None
    try:
        return (root / path.lstrip("/") / file).read_bytes()
    except OSError:
        return None  # Gone meanwhile, or in another hierarchy alone.
