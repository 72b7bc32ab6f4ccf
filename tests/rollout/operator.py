"""What an operator does: an inventory, and ansible-playbook over SSH."""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.rollout import provider
from tests.testhost import cache
from tests.testhost.host import Host

COLLECTION = cache.REPOSITORY / "deploy/ansible"
CONSTRAINTS = (COLLECTION / "constraints.txt", Path(__file__).with_name("constraints.txt"))
_PLAY_SECONDS = 200.0
_CONTROLLER_PORT = 8460
_Seen = TypeVar("_Seen")


def ansible_programs() -> Path:
    """The folder of ansible-playbook, as the constraints pin it; beside it, Mitogen's plugins.

    An environment does not survive being moved, so it is built where it stays.
    """
    pinned = b"".join(file.read_bytes() for file in CONSTRAINTS)
    folder = cache.CACHE / f"ansible-{hashlib.sha256(pinned).hexdigest()[:16]}"
    complete = folder / ".complete"
    with cache.locked("ansible"):
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip: list[str | Path] = [folder / "bin/python", "-m", "pip", "--quiet", "install"]
            pip += ["--disable-pip-version-check"]
            for file in CONSTRAINTS:
                pip += ["--constraint", file]
            subprocess.run([*pip, "ansible-core", "mitogen"], check=True)
            complete.touch()
    return folder / "bin"


@dataclass(frozen=True)
class Played:
    """How one or several playbooks ended, over all hosts."""

    output: str
    status: int
    changed: int
    failed: int


class Operator:
    """One operator with a controller and hypervisors, which may be one and the same host.

    `node` is the canary: tests look at what happens there.
    """

    def __init__(self, folder: Path, hosts: Sequence[Host], programs: Path, packages: Path) -> None:
        self.folder, self.hosts = folder, hosts
        self.controller, self.nodes = hosts[0], hosts[1:] or hosts
        self.node = self.nodes[0]
        self.token_file = folder / "secrets/token"
        self._programs = programs
        place = folder / "ansible_collections/fairuse"
        place.mkdir(parents=True)
        (place / "fairuse").symlink_to(COLLECTION)
        self.controller_url = f"https://127.0.0.1:{self.controller.forward(_CONTROLLER_PORT)}"
        self.variables: dict[str, Any] = {
            **_wanted(folder, packages, self.controller.name),
            **provider.variables(folder / "provider", self.node),
            "fairuse_api_url": self.controller_url,
        }

    def play(self, *playbooks: str, check: bool = True, **extra: Any) -> Played:
        """Run playbooks of the collection; with `check`, a failure raises with their output.

        What begins with a dash is an argument, and `extra` is what `-e` says.
        """
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps(self._inventory()))
        command = [str(self._programs / "ansible-playbook"), "-i", str(inventory)]
        command += [name if name[0] == "-" else f"fairuse.fairuse.{name}" for name in playbooks]
        if extra:
            command += ["-e", json.dumps(extra)]
        ended = subprocess.run(
            command,
            env={**os.environ, **_settings(self.folder), **self._strategy()},
            capture_output=True,
            text=True,
            timeout=_PLAY_SECONDS * self.node.slowness * len(self.hosts),
            check=False,
        )
        recap = re.findall(r"changed=(\d+).*failed=(\d+)", ended.stdout)
        played = Played(
            output=ended.stdout + ended.stderr,
            status=ended.returncode,
            changed=sum(int(changed) for changed, _ in recap),
            failed=sum(int(failed) for _, failed in recap),
        )
        if check and ended.returncode:
            pytest.fail(f"{playbooks} ended with {ended.returncode}:\n{played.output[-6000:]}")
        return played

    def api(self, path: str) -> Any:
        """What the controller answers its operator."""
        token = self.token_file.read_text().strip()
        return json.loads(self._ask(f"/api/v1{path}", token).read())

    def refuses(self, credential: str) -> bool:
        """Whether the controller takes no report with that credential."""
        try:
            self._ask("/agent/v1/reports", credential, b"").close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return answer.code == 401
        return False

    def until(self, what: str, seen: Callable[[], _Seen], seconds: float = 40.0) -> _Seen:
        """Look until it is seen, and return it."""
        give_up = time.monotonic() + seconds * self.node.slowness
        while not (found := seen()):
            if time.monotonic() > give_up:
                look = "journalctl --no-pager -n 60 -u 'fairuse-*'"
                said = "\n".join(host.run(look).stdout for host in self.hosts)
                pytest.fail(f"never seen: {what}\n{said}")
            time.sleep(1)
        return found

    def _inventory(self) -> dict[str, Any]:
        ways = {host.name: _way_in(host) for host in self.hosts}
        nodes = {host.name: ways[host.name] for host in self.nodes}
        controller = {self.controller.name: ways[self.controller.name]}
        return {
            "all": {
                "vars": self.variables,
                "children": {
                    "fairuse_controllers": {"hosts": controller},
                    "fairuse_agents": {"hosts": nodes},
                },
            }
        }

    def _strategy(self) -> dict[str, str]:
        """Ansible's own, except where a task's Python takes seven seconds to start: emulated hosts
        keep one that has started."""
        if self.node.slowness == 1:
            return {}
        (plugins,) = self._programs.parent.glob("lib/*/site-packages/ansible_mitogen/plugins")
        return {
            "ANSIBLE_STRATEGY": "mitogen_linear",
            "ANSIBLE_STRATEGY_PLUGINS": str(plugins / "strategy"),
        }

    def _ask(self, path: str, token: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        asked = urllib.request.Request(self.controller_url + path, data=body, headers=headers)
        trusted = ssl.create_default_context(cafile=str(self.folder / "secrets/ca/ca.pem"))
        patience = 20 * self.node.slowness
        return urllib.request.urlopen(asked, context=trusted, timeout=patience)


def _settings(folder: Path) -> dict[str, str]:
    """Of Ansible: what saves round trips, which an emulated host takes seconds for."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(folder),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_PIPELINING": "1",
        # Of a connection: an emulated host under load takes its time to begin a session.
        "ANSIBLE_TIMEOUT": "120",
        # Without -C: packages are compressed already.
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=15m",
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(folder / "facts"),
        "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
    }


def _way_in(host: Host) -> dict[str, Any]:
    options = " ".join(f"-o {option}" for option in host.ssh_options)
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": host.ssh_port,
        "ansible_user": "root",
        "ansible_ssh_common_args": options,
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _wanted(folder: Path, packages: Path, controller: str) -> dict[str, Any]:
    """As in inventories/plain, but for a host that is emulated."""
    return {
        "fairuse_install_version": "0.1.0",
        "fairuse_install_packages": str(packages),
        "fairuse_controller_names": [controller, "127.0.0.1"],
        "fairuse_controller_ca_directory": str(folder / "secrets/ca"),
        "fairuse_controller_operator_token_file": str(folder / "secrets/token"),
        "fairuse_agent_controller_url": f"https://{controller}:{_CONTROLLER_PORT}",
        "fairuse_agent_ca_certificate": str(folder / "secrets/ca/ca.pem"),
        "fairuse_api_token": f"{{{{ lookup('ansible.builtin.file', '{folder}/secrets/token') }}}}",
        "fairuse_api_ca_certificate": str(folder / "secrets/ca/ca.pem"),
        "fairuse_gate_watch_seconds": 10,
        # An emulated processor is many times slower than the one that the default is for.
        "fairuse_gate_cpu_share": 1.0,
    }
