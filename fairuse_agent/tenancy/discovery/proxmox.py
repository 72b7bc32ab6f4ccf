"""Proxmox VE: virtual machines and containers by their number.

Numbers are in the cgroups' and interfaces' names. How many cores a guest has stands in
`/etc/pve`, which the group www-data may read; without it, weights are CPU shares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairuse_agent.tenancy.discovery.kind import Finding, Kind
from fairuse_agent.tenancy.discovery.lookup import Lookup
from fairuse_agent.tenancy.discovery.shares import CpuShares

_INTERFACE = re.compile(r"(?:tap|veth)(?P<number>\d+)i\d+")
_SETTING = re.compile(r"(?P<key>[a-z]\w*):\s*(?P<value>.*)")
_FOLDERS = ("qemu-server", "lxc")


@dataclass(frozen=True, slots=True)
class Guest:
    """What a guest's configuration says; `cores` is 0 for a container without a limit."""

    name: str
    cores: int


class Proxmox(Kind):
    """The tenant is the guest's number, its weight its cores.

    Of a guest's interfaces only its own end counts (`tap101i0`, `veth105i0`): the firewall's
    pair beside it (`fwpr`, `fwln`, `fwbr`) carries the same packets.
    """

    name = "proxmox"
    places = ("/qemu.slice/{tenant}.scope", "/lxc/{tenant}")

    def __init__(self, pve: Path, shares: CpuShares) -> None:
        """`pve` is the cluster's file system, /etc/pve, which hangs when the cluster does."""
        super().__init__()
        self._shares = shares
        self._guests = Lookup(lambda number: read_guest(pve, number))

    def claims(self, path: str) -> bool:
        """Is this a guest's? Plain LXC names its containers in the same place."""
        return (self._captured(path) or "").isdecimal()

    def of_cgroup(self, path: str) -> Finding | None:
        """Every guest is a tenant."""
        number = self._captured(path)
        if number is None:
            return None
        guest = self._guests.get(number)
        called = f"guest {number}" + (f" ({guest.name})" if guest and guest.name else "")
        if guest is not None and guest.cores:
            return Finding(number, float(guest.cores), f"{called}; {guest.cores} cores")
        weight, why = self._shares.weight(path)
        return Finding(number, weight, f"{called}; {why}")

    def of_interface(self, name: str) -> Finding | None:
        """Whose `tap101i0` is can be read off it."""
        found = _INTERFACE.fullmatch(name)
        return Finding(found["number"], 1.0, f"guest {found['number']}'s name") if found else None

    def look(self) -> bool:
        """Configurations that came or changed meanwhile."""
        return self._guests.news()

    def read_again(self) -> None:
        """Cores can be added while a guest runs."""
        self._guests.read_again()

    def notes(self) -> Sequence[str]:
        """Tells when cores are not known, and so all weights come from shares."""
        if seconds := self._guests.silent_seconds():
            return (f"proxmox: /etc/pve has not answered for {seconds:.0f} s; cores as last read",)
        if self._guests.trouble:
            return (f"proxmox: weights are CPU shares, cores unknown: {self._guests.trouble}",)
        return ()

    def close(self) -> None:
        """End the lookups."""
        self._guests.close()


def read_guest(pve: Path, number: str) -> Guest | None:
    """The configuration of this node's guest `number`; None without one. Raises OSError."""
    for folder in _FOLDERS:
        try:
            text = (pve / folder / f"{number}.conf").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        return parse_guest(text)
    return None


def parse_guest(text: str) -> Guest:
    """The guest as it runs: sections further down are its snapshots and changes to come."""
    settings = {}
    for line in text.splitlines():
        if line.startswith("["):
            break
        if found := _SETTING.fullmatch(line.strip()):
            settings[found["key"]] = found["value"]
    if "hostname" in settings:
        return Guest(settings["hostname"], _count(settings, "cores", 0))
    cores = _count(settings, "cores", 1) * _count(settings, "sockets", 1)
    # Of these, `vcpus` are plugged in.
    return Guest(settings.get("name", ""), _count(settings, "vcpus", cores))


def _count(settings: dict[str, str], key: str, default: int) -> int:
    text = settings.get(key, "")
    return int(text) if text.isdecimal() else default
