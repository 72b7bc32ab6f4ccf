"""What a provider has beside Fairuse: a host with customers, their contacts, a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.booted.installed import MAILED_TO, hasty_policy, pace
from tests.booted.load import HOG
from tests.testhost.host import Host

POLICY = "hasty.toml"
_LEASE_SECONDS = 3600
_POLICIES = f'files = ["{POLICY}"]\ndefault = "booted"\n'
_TENANTS = f"""
[tenants.{HOG}]
name = "Hog Ltd"
[[tenants.{HOG}.contacts]]
email = ["{MAILED_TO}@localhost"]
"""


def prepare(host: Host) -> None:
    """The host has a mailbox for the customer, and nothing of Fairuse."""
    # The image comes with programs of the harness's own.
    host.run("rm -rf /opt/fairuse /usr/local/bin/fairuse*")
    host.run(f"useradd --create-home {MAILED_TO}")


def variables(folder: Path, host: Host) -> dict[str, Any]:
    """Of the inventory: whom there is to watch, and how far that may go."""
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    (folder / "policies/policies.toml").write_text(_POLICIES)
    (folder / "policies" / POLICY).write_text(hasty_policy(pace(host), _LEASE_SECONDS))
    (folder / "tenants.toml").write_text(_TENANTS)
    smtp = {"host": "127.0.0.1", "port": 25, "security": "none", "sender": "abuse@localhost"}
    contact = {"provider_name": "Example Hosting", "group_interval": "0s", "smtp": smtp}
    tenants = [{"cgroup": "customers.slice/customers-{tenant}.service"}]
    return {
        "fairuse_controller_policies": str(folder / "policies"),
        "fairuse_controller_tenants_file": str(folder / "tenants.toml"),
        "fairuse_controller_settings": {"mode": "enforce", "contact": contact},
        "fairuse_agent_settings": {
            "sampling": {"interval": f"{pace(host)}s"},
            "tenants": tenants,
        },
    }
