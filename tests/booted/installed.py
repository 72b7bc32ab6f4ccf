"""The three programs on a test host as a provider runs them: unit files, users, /etc/fairuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testhost.host import Host

UNITS = Path(__file__).parents[2] / "deploy/systemd"
USERS = ("fairuse-agent", "fairuse-controller")
_EMULATED_PACE = 3
"""How much slower the story goes where instructions are emulated. There the programs at an interval
of a second take a third of the machine, from the tenants that are to fill it."""
MAILED_TO = "hog-owner"
"""A user of the test host, who has a mailbox there."""

_POLICY = """
name = "booted"
[rule]
window = "%(window)ds"
ratio = 1.3
measured_share = 0.6
cpu = { contended_waiting = 0.05, harmed_waiting = 0.05 }
[severity.low]
harmed_share = 0.0
waiting = 0.0
deadline = "%(deadline)ds"
[severity.high]
harmed_share = 1.0
waiting = 1.0
deadline = "%(deadline)ds"
[severity.critical]
harmed_share = 1.0
waiting = 1.0
deadline = "%(deadline)ds"
[times]
mail_arrives_within = "2s"
subsides_after = "%(subsides)ds"
[limit]
lease = "%(lease)ds"
step_down = 0.4
step_every = "%(step)ds"
ease = 1.0
"""

CONTROLLER = """
mode = "enforce"
policies_file = "/etc/fairuse/policies.toml"
[contact]
provider_name = "Example Hosting"
tenants_file = "/etc/fairuse/tenants.toml"
group_interval = "0s"
[contact.smtp]
host = "127.0.0.1"
port = 25
security = "none"
sender = "Example Hosting <abuse@localhost>"
"""

LIMITER = """
max_silence = "5m"
"""

_AGENT = """
[sampling]
interval = "%(interval)ds"
[host]
name = "node-1"
[[tenants]]
cgroup = "customers.slice/customers-{tenant}.service"
"""


def pace(host: Host) -> int:
    """How many seconds an interval takes where the whole story is to fit into minutes."""
    return _EMULATED_PACE if host.slowness > 1 else 1


def hasty_policy(interval_seconds: int, lease_seconds: int) -> str:
    """The story from the first sample to the limit, in some twenty intervals."""
    return _POLICY % {
        "window": 12 * interval_seconds,
        "deadline": 8 * interval_seconds,
        "subsides": 120 * interval_seconds,
        "lease": lease_seconds,
        "step": lease_seconds - 1,
    }


class Installed:
    """Fairuse at work on one test host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.interval_seconds = pace(host)
        self.lease_seconds = 40 * self.interval_seconds
        self._token = ""

    def set_up(self) -> None:
        """Users, configuration, unit files, enrolment; then all three are started."""
        host = self.host
        self.set_lease(self.lease_seconds)
        for name, text in {
            "controller": CONTROLLER,
            "limiter": LIMITER,
            "agent": _AGENT % {"interval": self.interval_seconds},
            "policies": 'files = ["policy.toml"]\ndefault = "booted"\n',
            "tenants": f'[tenants.hog]\nname = "Hog Ltd"\n'
            f'[[tenants.hog.contacts]]\nemail = ["{MAILED_TO}@localhost"]\n',
        }.items():
            host.write(f"/etc/fairuse/{name}.toml", text)
        for user in USERS:
            host.run(f"useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin {user}")
            host.run(f"install -d -o {user} -m 700 /var/lib/{user}")
        host.run(f"useradd --create-home {MAILED_TO}")
        for unit in UNITS.glob("*.service"):
            host.put(unit, f"/etc/systemd/system/{unit.name}")
        host.run("systemctl daemon-reload")
        host.run("systemctl enable --now fairuse-controller fairuse-limiter")
        self.until("the controller answers", self._answers)
        told = self._as_controller("token --role operator --name otto")
        self._token = told.split()[-1]
        token = self._as_controller("enrolment-token --host node-1").split()[-1]
        host.run(f"runuser -u fairuse-agent -- fairuse-agent enrol --token {token}")
        host.run("systemctl enable --now fairuse-agent")

    def set_lease(self, seconds: int) -> None:
        """Of limits that are ordered from now on: the controller reads its policies again."""
        policy = hasty_policy(self.interval_seconds, seconds)
        self.host.write("/etc/fairuse/policy.toml", policy)

    def fairuse(self, words: str) -> Any:
        """What the command line answers, as the JSON that scripts get."""
        return json.loads(
            self.host.run(f"FAIRUSE_TOKEN={self._token} fairuse {words} --json").stdout
        )

    def cases(self) -> list[dict[str, Any]]:
        """All cases, newest first."""
        found: list[dict[str, Any]] = self.fairuse("cases")["cases"]
        return found

    def held(self) -> list[dict[str, Any]]:
        """What the limiter holds now; nothing while it is starting."""
        asked = self.host.run("fairuse-limiter status --json", check=False)
        state = json.loads(asked.stdout or "{}")
        found: list[dict[str, Any]] = state.get("held", [])
        return found

    def is_active(self, program: str) -> bool:
        """Whether its unit runs."""
        asked = self.host.run(f"systemctl is-active fairuse-{program}", check=False)
        return asked.stdout.strip() == "active"

    def until(self, what: str, seen: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Look until it is seen, and return it."""
        give_up = time.monotonic() + seconds * self.host.slowness
        while True:
            found = seen()
            if found:
                return found
            if time.monotonic() > give_up:
                raise AssertionError(f"never seen: {what}\n{self.logs()}")
            time.sleep(0.5)

    def logs(self) -> str:
        """The last that the programs said."""
        return self.host.run(
            "journalctl --no-pager -n 60 -u 'fairuse-*' -o short", check=False
        ).stdout

    def _answers(self) -> bool:
        asked = "import urllib.request as u; u.urlopen('http://127.0.0.1:8460/healthz')"
        return self.host.run(f'python3 -c "{asked}"', check=False).returncode == 0

    def _as_controller(self, words: str) -> str:
        command = f"runuser -u fairuse-controller -- fairuse-controller {words}"
        return self.host.run(command).stdout
