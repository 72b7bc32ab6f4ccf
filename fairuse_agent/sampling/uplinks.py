"""The host's ways to the world: which interfaces, what they can carry, where packets queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

_MEGABIT_BYTES = 125_000


def default_route_interfaces(proc_root: Path) -> tuple[str, ...]:
    """Interfaces of the IPv4 and IPv6 default routes, from /proc/net."""
    names: dict[str, None] = {}
    for line in _lines(proc_root / "net" / "route")[1:]:
        words = line.split()
        if len(words) >= 8 and words[1] == "00000000" and words[7] == "00000000":
            names[words[0]] = None
    for line in _lines(proc_root / "net" / "ipv6_route"):
        words = line.split()
        # The kernel keeps a rejecting default route on lo.
        if len(words) >= 10 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            names[words[9]] = None
    return tuple(names)


def find_uplinks(
    configured: Sequence[str], proc_root: Path, sys_root: Path, is_tenants: Callable[[str], bool]
) -> tuple[str, ...]:
    """The configured uplinks, or those of the default routes.

    A bridge's own counters leave out what it passes on to tenants, so a bridge with a default
    route stands for its ports that lead on to hardware.
    """
    if configured:
        return tuple(configured)
    uplinks: dict[str, None] = {}
    for name in default_route_interfaces(proc_root):
        ports = [
            port.name
            for port in _entries(sys_root / "class" / "net" / name / "brif")
            if not is_tenants(port.name) and _has_hardware(sys_root, port.name)
        ]
        uplinks.update(dict.fromkeys(ports or [name]))
    return tuple(uplinks)


def queue_interfaces(sys_root: Path, name: str) -> tuple[str, ...]:
    """Where packets that leave by `name` queue: itself, or the interfaces below a bond or VLAN."""
    below = [
        entry.name.removeprefix("lower_")
        for entry in _entries(sys_root / "class" / "net" / name)
        if entry.name.startswith("lower_")
    ]
    return tuple(leaf for port in below for leaf in queue_interfaces(sys_root, port)) or (name,)


def link_speed(sys_root: Path, name: str) -> float | None:
    """Bytes per second each way, or None where the link tells none.

    Only hardware is believed: a veth always says 10 Gbit/s, whatever its shaper allows.
    """
    if not _has_hardware(sys_root, name):
        return None
    try:
        megabits = int((sys_root / "class" / "net" / name / "speed").read_bytes())
    except (OSError, ValueError):
        return None  # Reading it is an error while the link is down, and for many drivers always.
    return megabits * float(_MEGABIT_BYTES) if megabits > 0 else None


def _has_hardware(sys_root: Path, name: str) -> bool:
    return any(
        (sys_root / "class" / "net" / leaf / "device").exists()
        for leaf in queue_interfaces(sys_root, name)
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # No IPv6, say.
