"""Several machines on a private network of their own, made of this machine's loopback alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from .host import Host
from .image import Image
from .machine import Shape

_PREFIX = "10.77.0."
# Frames go out on the loopback interface only; a group of the range for one site's own use.
_GROUP = "239.77.0.1"


def address(number: int) -> str:
    """Of the machine of that number, from 0, on the private network."""
    return f"{_PREFIX}{number + 11}"


@contextmanager
def lan(image: Image, names: list[str], shape: Shape | None = None) -> Iterator[list[Host]]:
    """Booted machines of these names that find each other by name; Fairuse is not installed."""
    port = _free_port()
    netdev = f"socket,mcast={_GROUP}:{port},localaddr=127.0.0.1"
    with ExitStack() as running:
        hosts = [
            running.enter_context(Host(_member(shape or Shape(), name, number, netdev), image))
            for number, name in enumerate(names)
        ]
        with ThreadPoolExecutor(len(hosts)) as together:
            list(together.map(lambda host: _join(host, names), hosts))
        yield hosts


def _member(shape: Shape, name: str, number: int, netdev: str) -> Shape:
    return replace(shape, name=name, network=(_mac(number), netdev))


def _mac(number: int) -> str:
    return f"52:54:00:fb:00:{number + 11:02x}"


def _join(host: Host, names: list[str]) -> None:
    """Address and names, on its disk, so that they are there after a reboot too."""
    host.wait_until_up()
    number = names.index(host.name)
    host.write(
        "/etc/systemd/network/20-lan.network",
        f"[Match]\nMACAddress={_mac(number)}\n"
        f"[Network]\nAddress={address(number)}/24\nIPv6AcceptRA=no\n",
    )
    others = "".join(f"{address(number)} {name}\n" for number, name in enumerate(names))
    host.write("/etc/hosts", f"127.0.0.1 localhost\n{others}")
    host.run("networkctl reload")


def _free_port() -> int:
    """Of its own for each network, so that those of several runs do not meet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
