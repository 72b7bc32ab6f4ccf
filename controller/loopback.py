"""What may travel in the clear: only what stays on this machine, or in the provider's own net."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def stays_inside(host: str) -> bool:
    """Whether `host` can only be reached from this machine or from a private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return is_loopback(host)
