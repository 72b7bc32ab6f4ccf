"""The demo's configuration: the same files that a provider writes, with short times."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fairuse_cli.demo import links
from fairuse_cli.demo.cgroups import PARENT
from fairuse_cli.demo.stage import HOST, TENANTS, UPLINK_BYTES_PER_SECOND

DEADLINE_SECONDS = 5
MAIL_ARRIVES_WITHIN_SECONDS = 2
LEASE_SECONDS = 18
WINDOW_SECONDS = 8
RATIO = 1.3
"""Under it while limited (1.25 of the fair share), over it when greedy (about 2 on two cores)."""
HARMED_WAITING = 0.06
"""Neighbours of the demo wait 0 to 3 % of the time when it is quiet, 15 % and more when not."""

_UPLINK = f"{UPLINK_BYTES_PER_SECOND * 8 / 1e6:g} Mbit/s"


@dataclass(frozen=True)
class Places:
    """Where everything of one run lies."""

    directory: Path

    @property
    def controller(self) -> Path:
        """The controller's own directory."""
        return self.directory / "controller"

    @property
    def agent(self) -> Path:
        """The agent's own directory."""
        return self.directory / "agent"

    @property
    def limiter(self) -> Path:
        """The limiter's own directory."""
        return self.directory / "limiter"

    @property
    def logs(self) -> Path:
        """What the programs write."""
        return self.directory / "logs"

    @property
    def mails(self) -> Path:
        """What the mail server took."""
        return self.directory / "mails"

    @property
    def limiter_settings(self) -> Path:
        """limiter.toml, which `fairuse-limiter lift-all` needs too."""
        return self.directory / "limiter.toml"

    @property
    def controller_settings(self) -> Path:
        """controller.toml."""
        return self.directory / "controller.toml"

    @property
    def agent_settings(self) -> Path:
        """agent.toml."""
        return self.directory / "agent.toml"

    @property
    def operator_token(self) -> Path:
        """The token that the story asks the API with."""
        return self.directory / "operator-token"

    def make(self, agents_owner: int) -> None:
        """Make the directories; those of the unprivileged programs belong to `agents_owner`."""
        for own in (self.controller, self.agent, self.limiter, self.logs, self.mails):
            own.mkdir(mode=0o755, parents=True, exist_ok=True)
        for given in (self.controller, self.agent):
            given.chmod(0o700)
        if agents_owner:
            for given in (self.controller, self.agent):
                os.chown(given, agents_owner, -1)


def write(places: Places, *, http_port: int, smtp_port: int, agents_user: str) -> None:
    """Write all six files."""
    files = {
        places.controller_settings: controller_toml(places, http_port, smtp_port),
        places.directory / "policies.toml": 'files = ["policy.toml"]\ndefault = "demo"\n',
        places.directory / "policy.toml": policy_toml(),
        places.directory / "tenants.toml": tenants_toml(),
        places.agent_settings: agent_toml(places, http_port),
        places.limiter_settings: limiter_toml(places, agents_user),
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")


def agent_toml(places: Places, http_port: int) -> str:
    """What the agent watches."""
    return f"""\
discover = []  # This machine may have guests of its own: they are no part of it.

[controller]
url = "http://127.0.0.1:{http_port}"
credential_file = "{places.agent}/credential"

[sampling]
interval = "1s"

[spool]
directory = "{places.agent}/spool"

[host]
name = "{HOST}"
uplinks = ["{links.UPLINK}"]
net_in = "{_UPLINK}"
net_out = "{_UPLINK}"

[limiter]
socket = "{places.limiter}/limiter.sock"

[[tenants]]
cgroup = "/{PARENT}/{{tenant}}"
interfaces = ["{links.interface("{tenant}")}"]
"""


def limiter_toml(places: Places, agents_user: str) -> str:
    """Whom the limiter obeys, and for how long at most."""
    return f"""\
socket = "{places.limiter}/limiter.sock"
journal = "{places.limiter}/journal"
agent_users = ["{agents_user}"]
max_lease = "2m"
max_silence = "15s"
"""


def controller_toml(places: Places, http_port: int, smtp_port: int) -> str:
    """The controller, allowed to enforce, with the demo's mail server."""
    return f"""\
mode = "enforce"
policies_file = "{places.directory}/policies.toml"

[listen]
port = {http_port}

[storage]
database = "sqlite+aiosqlite:///{places.controller}/fairuse.db"

[contact]
provider_name = "Example Hosting"
page_url = "http://127.0.0.1:{http_port}"
link_secret_file = "{places.controller}/link-secret"
tenants_file = "{places.directory}/tenants.toml"
group_interval = "0s"

[contact.smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
sender = "Example Hosting <abuse@hosting.example>"
"""


def policy_toml() -> str:
    """The rule of the real thing, with seconds where a provider has minutes and hours."""
    steps = "\n".join(
        f"[severity.{name}]\nharmed_share = {harmed}\nwaiting = {waiting}\n"
        f'deadline = "{DEADLINE_SECONDS}s"\n'
        for name, harmed, waiting in (("low", 0, 0), ("high", 0.25, 0.2), ("critical", 0.5, 0.4))
    )
    return f"""\
name = "demo"
clause = "You may use what nobody else needs, and your fair share at any time."

[rule]
window = "{WINDOW_SECONDS}s"
ratio = {RATIO}
# A case that has just ended is not opened again by the seconds that show that it has.
measured_share = 0.75
cpu = {{ harmed_waiting = {HARMED_WAITING} }}

{steps}
[times]
# The demo's mail server greylists nobody.
mail_arrives_within = "{MAIL_ARRIVES_WITHIN_SECONDS}s"
subsides_after = "30s"

[limit]
lease = "{LEASE_SECONDS}s"
step_down = 0.4
# So that one limit is measured from its start to its end, it neither eases nor steps before that.
ease = 1.0
step_every = "{LEASE_SECONDS - 1}s"
"""


def tenants_toml() -> str:
    """Whom to write to."""
    return "".join(
        f'[tenants.{name}]\nname = "{name.title()} Ltd"\n'
        f'[[tenants.{name}.contacts]]\nemail = ["{address(name)}"]\n\n'
        for name in TENANTS
    )


def address(tenant: str) -> str:
    """Where the tenant reads its mail."""
    return f"admin@{tenant}.example"
