"""The demo's network: a bridge without addresses, a namespace a tenant, and a shaped uplink.

Nothing in it has an address in the root namespace, so no route of this machine changes. The
tenants and the far end have addresses of RFC 2544's test range, inside their namespaces only.
"""

from __future__ import annotations

import socket
from pathlib import Path

from pyroute2 import IPRoute, netns

BRIDGE = "fairuse-br"
UPLINK = "fairuse-up"
WORLD = "world"
WORLD_ADDRESS = "198.18.0.1"
_FIRST_TENANT = 11
_INSIDE = "eth0"
_PREFIX = "fairuse-"
_TC_H_ROOT = 0xFFFFFFFF
_BURST_BYTES = 64 * 1024
"""More than a merged packet, and more than a tick of the kernel's clock lets through."""
_QUEUE_SECONDS = 0.05
"""What waits at the uplink before it drops."""


def namespace(name: str) -> str:
    """The network namespace of a tenant, or of the far end."""
    return f"fairuse-demo-{name}"


def namespace_file(name: str) -> str:
    """Where that namespace can be entered."""
    return f"/run/netns/{namespace(name)}"


def interface(tenant: str) -> str:
    """The host's end of a tenant's link."""
    return f"{_PREFIX}t-{tenant}"


def ifb(tenant: str) -> str:
    """What the limiter calls the IFB that it makes for a tenant's link, while that exists."""
    try:
        return f"{_PREFIX}{socket.if_nametoindex(interface(tenant)):x}"
    except OSError:
        return ""


def addresses(tenants: tuple[str, ...]) -> dict[str, str]:
    """Each tenant's address inside its namespace."""
    return {name: f"198.18.0.{_FIRST_TENANT + place}" for place, name in enumerate(tenants)}


def make(tenants: tuple[str, ...], uplink_bytes_per_second: float) -> None:
    """Make it all, the uplink shaped to this rate both ways.

    Namespaces first: pyroute2 forks to make or enter one, and no open socket should be shared
    with a child.
    """
    inside = {WORLD: WORLD_ADDRESS, **addresses(tenants)}
    for name in inside:
        netns.create(namespace(name))
    with IPRoute() as root:
        root.link("add", ifname=BRIDGE, kind="bridge", br_forward_delay=0)
        _bring_up_without_address(root, BRIDGE)
        for name in inside:
            _join(root, name, UPLINK if name == WORLD else interface(name))
        _shape(root, UPLINK, uplink_bytes_per_second)
    for name, address in inside.items():
        with IPRoute(netns=namespace(name)) as within:
            index = _index(within, _INSIDE)
            within.addr("add", index=index, address=address, prefixlen=24)
            within.link("set", index=index, state="up")
            if name == WORLD:
                _shape(within, _INSIDE, uplink_bytes_per_second)


def _join(root: IPRoute, name: str, host_end: str) -> None:
    """One veth pair: `host_end` on the bridge, the other end in the namespace."""
    peer = {"ifname": _INSIDE, "net_ns_fd": namespace(name)}
    root.link("add", ifname=host_end, kind="veth", peer=peer)
    root.link("set", index=_index(root, host_end), master=_index(root, BRIDGE))
    _bring_up_without_address(root, host_end)


def _bring_up_without_address(root: IPRoute, name: str) -> None:
    """IPv6 would give it a link-local address as soon as it is up."""
    switch = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if switch.exists():
        switch.write_text("1")
    root.link("set", index=_index(root, name), state="up")


def _shape(netlink: IPRoute, name: str, bytes_per_second: float) -> None:
    netlink.tc(
        "add",
        "tbf",
        index=_index(netlink, name),
        parent=_TC_H_ROOT,
        handle="1:",
        rate=int(bytes_per_second),
        burst=_BURST_BYTES,
        limit=int(bytes_per_second * _QUEUE_SECONDS) + _BURST_BYTES,
    )


def _index(netlink: IPRoute, name: str) -> int:
    found = netlink.link_lookup(ifname=name)
    if not found:
        raise LookupError(f"interface {name} is not there")
    return int(found[0])


def remove(tenants: tuple[str, ...]) -> None:
    """Remove every link and namespace of the demo that is there."""
    # An IFB goes while its name can still be told from its link.
    named = (*map(ifb, tenants), *map(interface, tenants), UPLINK, BRIDGE)
    with IPRoute() as root:
        for name in filter(None, named):
            for index in root.link_lookup(ifname=name):
                root.link("del", index=index)
    there = set(netns.listnetns())
    for name in (WORLD, *tenants):
        if namespace(name) in there:
            netns.remove(namespace(name))
