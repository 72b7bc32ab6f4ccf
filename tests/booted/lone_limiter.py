"""A limiter by itself on a test host; the test says what an agent would."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairuse_protocol.limits import GetState, SetLimits, encode_line
from tests.testhost.host import Host

_UNIT = "fairuse-test-limiter"
_RUN = "/run/fairuse-test"
_CONFIG = """
socket = "/run/fairuse-test/socket"
journal = "%s"
agent_users = []
"""
_ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.settimeout(60)
    link.connect("/run/fairuse-test/socket")
    link.sendall(sys.argv[1].encode())
    print(link.makefile().readline())
"""
_TRIES = 20


def start(host: Host, *, journal: str = f"{_RUN}/journal") -> None:
    """Run it as a unit, and wait for its socket. Elsewhere than in /run, its journal survives
    a reboot."""
    host.write(f"{_RUN}/limiter.toml", _CONFIG % journal)
    host.run(
        f"systemd-run --collect --unit {_UNIT} --property=Type=exec"
        f" fairuse-limiter run --config {_RUN}/limiter.toml"
    )
    is_there = f"[ -S {_RUN}/socket ]"
    host.run(f"for i in $(seq 300); do {is_there} && break; sleep 0.1; done; {is_there}")


def stop(host: Host) -> None:
    """It lifts what it holds."""
    host.run(f"systemctl stop {_UNIT}")


def remove(host: Host) -> None:
    """Whatever state it is in."""
    host.run(f"systemctl stop {_UNIT}; rm -rf {_RUN}", check=False)


def ask(host: Host, request: SetLimits | GetState) -> dict[str, Any]:
    """Its answer."""
    line = encode_line(request).decode()
    told: dict[str, Any] = json.loads(host.python(_ASK, line).stdout)
    return told


def hold(host: Host, request: SetLimits) -> dict[str, Any]:
    """Ask until the order is held, which comes after the limiter's own proof; its line."""
    for _ in range(_TRIES):
        told = ask(host, request)
        if held := told.get("held"):
            line: dict[str, Any] = held[0]
            return line
        host.run("sleep 1")
    pytest.fail(f"never held: {told}")


def said(host: Host) -> str:
    """Its log, of all tests so far."""
    return host.run(f"journalctl -u {_UNIT} -o cat").stdout
