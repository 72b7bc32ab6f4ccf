"""What `fairuse run` keeps in its directory: default configuration, state, logs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_SOCKET_PATH_BYTES = 107
"""sun_path of struct sockaddr_un, with its closing zero: see unix(7)."""

_AGENT = """\
# Written by `fairuse run` on its first start; change it as you like, it is not written again.

# Whose is it? These kinds of guests are tenants; what is none counts as the host's own, and
# `fairuse-agent tenants --config THIS` says which is which. Remove what does not mean customers on
# this host. One name is one tenant: of two kinds that can give the same name (a Docker and an LXC
# container both called "shop"), keep the one that means customers, or write [[tenants]] rules.
discover = ["libvirt", "proxmox", "lxc", "nspawn", "docker", "users"]

[controller]
url = "http://127.0.0.1:8460"
credential_file = "{directory}/agent/credential"

[spool]
directory = "{directory}/agent/spool"

[limiter]
socket = "{directory}/limiter.sock"
"""

_LIMITER = """\
# Written by `fairuse run` on its first start; change it as you like, it is not written again.
socket = "{directory}/limiter.sock"
journal = "{directory}/limiter/journal"
agent_users = []  # root may always speak to it, and `fairuse run` starts all as one user
"""

_CONTROLLER = """\
# Written by `fairuse run` on its first start; change it as you like, it is not written again.

# observe: watch only. contact: write to customers too. enforce: order limits too.
mode = "observe"

[listen]
host = "127.0.0.1"
port = 8460

[storage]
database = "sqlite+aiosqlite:///{directory}/controller/fairuse.db"

[contact]
page_url = "http://127.0.0.1:8460"
link_secret_file = "{directory}/controller/link-secret"
tenants_file = "{directory}/tenants.toml"
"""

_TENANTS = """\
# Whom to write to about each tenant, by the names that agent.toml's rules give. For example:
# [tenants.web42]
# name = "Example Ltd"
# [[tenants.web42.contacts]]
# email = ["admin@web42.example"]
"""


class RunFilesError(Exception):
    """The directory cannot be used. The text says why."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files below one absolute directory."""

    directory: Path

    @property
    def agent_config(self) -> Path:
        """agent.toml."""
        return self.directory / "agent.toml"

    @property
    def limiter_config(self) -> Path:
        """limiter.toml."""
        return self.directory / "limiter.toml"

    @property
    def controller_config(self) -> Path:
        """controller.toml."""
        return self.directory / "controller.toml"

    @property
    def token(self) -> Path:
        """The operator's token that `fairuse` commands find through cli.toml."""
        return self.directory / "token"

    def log(self, program: str) -> Path:
        """Where one program's output goes."""
        return self.directory / "logs" / f"{program}.log"

    def write_defaults(self) -> list[Path]:
        """Make what is absent, touch nothing that is there; what was made."""
        self._check_path()
        made = []
        try:
            for folder in ("", "agent", "limiter", "controller", "logs"):
                (self.directory / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            for path, text in (
                (self.agent_config, _AGENT),
                (self.limiter_config, _LIMITER),
                (self.controller_config, _CONTROLLER),
                (self.directory / "tenants.toml", _TENANTS),
            ):
                if not path.exists():
                    path.write_text(text.format(directory=self.directory), encoding="utf-8")
                    made.append(path)
        except OSError as error:
            raise RunFilesError(f"{self.directory}: cannot be written: {error}") from error
        return made

    def write_token(self, token: str, url: str) -> None:
        """Keep a new operator's token, and tell the command line where it is."""
        descriptor = os.open(self.token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        (self.directory / "cli.toml").write_text(
            f'url = "{url}"\ntoken_file = "{self.token.name}"\n', encoding="utf-8"
        )

    def _check_path(self) -> None:
        """The configuration names the directory in TOML strings, and a socket in it."""
        text = str(self.directory)
        if not text.isprintable() or set(text) & set('"\\'):
            raise RunFilesError(f"{text!r}: expected a path without quotes and control characters")
        socket = os.fsencode(self.directory / "limiter.sock")
        if len(socket) > _SOCKET_PATH_BYTES:
            raise RunFilesError(
                f"{text}: a local socket's path ends at {_SOCKET_PATH_BYTES} bytes, and the "
                f"limiter's would have {len(socket)}; name a shorter --directory"
            )
