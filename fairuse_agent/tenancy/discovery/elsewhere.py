"""Interfaces that carry what another one carries, so that nothing is counted twice."""

from __future__ import annotations

import re

_PROXMOX_FIREWALL = re.compile(r"fw(?:pr|ln|br)(?P<port>\d+[ip]\d+)")
_NEUTRON_HYBRID = re.compile(r"q(?:vo|vb|br)(?P<port>[0-9a-f-]{11})")


def counted_at(name: str) -> str:
    """Where an interface's traffic counts instead, for a person; "" where nowhere else.

    Proxmox puts `fwln101i0` and `fwpr101i0` and the bridge `fwbr101i0` between a guest and its
    bridge. Neutron's hybrid ports have `qvo`, `qvb` and `qbr` behind each tap, all with the first
    11 characters of the port's id.
    """
    if found := _PROXMOX_FIREWALL.fullmatch(name):
        port = found["port"].replace("p", "i")
        return f"tap{port} or veth{port}"
    if found := _NEUTRON_HYBRID.fullmatch(name):
        return f"tap{found['port']}"
    return ""
