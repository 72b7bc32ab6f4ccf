"""What the demo's tests need to know about this machine."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import netns

from fairuse_cli.demo import leftovers, links
from fairuse_cli.demo.cgroups import PARENT, Hierarchies
from fairuse_cli.demo.stage import TENANTS

OUR_LINKS = {links.BRIDGE, links.UPLINK, *map(links.interface, TENANTS)}


@contextmanager
def alone_on_this_machine(patience_seconds: float = 100.0) -> Iterator[None]:
    """The demo's lock, waited for: another test run may be at it."""
    give_up = time.monotonic() + patience_seconds
    while True:
        held = leftovers.lock()
        try:
            held.__enter__()
        except leftovers.AlreadyRunning:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
        else:
            break
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def demo_leftovers() -> list[str]:
    """Everything of the demo that is on this machine now."""
    found = [name for _, name in socket.if_nameindex() if name in OUR_LINKS]
    found += [name for name in netns.listnetns() if name.startswith("fairuse-demo-")]
    found += [
        str(mount / PARENT) for mount in Hierarchies.here().mounts if (mount / PARENT).exists()
    ]
    found += [str(leftovers.DIRECTORY)] if leftovers.DIRECTORY.exists() else []
    return found + demo_processes()


def our_ifb_names() -> list[str]:
    """IFBs that a limiter made for an interface that is no longer there."""
    names = {name: index for index, name in socket.if_nameindex()}
    made = re.compile(r"fairuse-([0-9a-f]{1,7})")
    return [
        name
        for name in names
        if (found := made.fullmatch(name)) and int(found[1], 16) not in names.values()
    ]


def demo_processes() -> list[str]:
    """Processes of the demo's world and programs, by their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "fairuse_cli.demo.worker" in command or str(leftovers.DIRECTORY) in command:
            found.append(f"{process.name}: {command}")
    return found


def root_network() -> str:
    """Addresses and routes of the root namespace, without those of other tests' links."""
    shown = [
        subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout
        for arguments in (["-o", "addr"], ["route", "show", "table", "all"], ["-6", "route"])
    ]
    lines = "".join(shown).splitlines()
    return "\n".join(
        line for line in lines if "fairuse-" not in line or any(name in line for name in OUR_LINKS)
    )
