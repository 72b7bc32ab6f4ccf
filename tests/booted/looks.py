"""What an agent finds on a test host, as a user who may do nothing else there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.testhost.host import Host

AGENT = "fairuse-looks"
"""Its user: no groups, no capabilities."""
CONFIG = "/etc/fairuse-looks.toml"


def prepare(host: Host, settings: str) -> None:
    """The user and its settings."""
    host.run(f"useradd --system --no-create-home {AGENT}")
    host.write(CONFIG, settings)


def remove(host: Host) -> None:
    """Whatever `prepare` made."""
    host.run(f"userdel {AGENT}; rm -f {CONFIG}")


def looked(host: Host) -> dict[str, Any]:
    """`fairuse-agent tenants --json`, as that user; its tenants also by name."""
    told = host.run(f"runuser -u {AGENT} -- fairuse-agent tenants --json --config {CONFIG}")
    answer: dict[str, Any] = json.loads(told.stdout)
    answer["by_name"] = {tenant["tenant"]: tenant for tenant in answer["tenants"]}
    return answer


def names(tenant: dict[str, Any], what: str) -> list[str]:
    """Of a tenant's cgroups or interfaces."""
    return [part["name"] for part in tenant[what]]


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Guests and daemons take their time, which no clock of ours sets."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.1)
