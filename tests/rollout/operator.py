"""What an operator does: an inventory, and ansible-playbook over SSH."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.testhost import cache
from tests.testhost.host import Host

COLLECTION = cache.REPOSITORY / "deploy/ansible"
CONSTRAINTS = COLLECTION / "constraints.txt"
_PLAY_SECONDS = 400.0


def ansible_programs() -> Path:
    """The folder of ansible-playbook, as deploy/ansible/constraints.txt pins it.

    An environment does not survive being moved, so it is built where it stays.
    """
    digest = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()[:16]
    folder = cache.CACHE / f"ansible-{digest}"
    complete = folder / ".complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--constraint", CONSTRAINTS, "ansible-core"], check=True)
        complete.touch()
    return folder / "bin"


@dataclass(frozen=True)
class Played:
    """How a playbook ended, by host."""

    output: str
    status: int
    changed: int
    failed: int


class Operator:
    """One operator with one host that is both controller and hypervisor."""

    def __init__(self, folder: Path, host: Host, programs: Path, packages: Path) -> None:
        self.folder, self.host = folder, host
        self._programs = programs
        place = folder / "ansible_collections/fairuse"
        place.mkdir(parents=True)
        (place / "fairuse").symlink_to(COLLECTION)
        (folder / "ca").mkdir()
        (folder / "policies").mkdir()
        self.variables: dict[str, Any] = _variables(folder, host, packages)

    def play(self, playbook: str, *arguments: str, check: bool = True, **extra: Any) -> Played:
        """Run one playbook of the collection; with `check`, a failure raises with its output."""
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps(_inventory(self.variables)))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_HOME": str(self.folder / "home"),
        }
        command = [self._programs / "ansible-playbook", "-i", inventory, *arguments]
        if extra:
            command += ["-e", json.dumps(extra)]
        ended = subprocess.run(
            [*command, f"fairuse.fairuse.{playbook}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PLAY_SECONDS * self.host.slowness,
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
            pytest.fail(f"{playbook} ended with {ended.returncode}:\n{played.output[-6000:]}")
        return played

    def api(self, path: str) -> Any:
        """What the controller answers its operator."""
        token = (self.folder / "token").read_text().strip()
        asked = (
            f"curl -sf --cacert /etc/fairuse/controller-ca.pem -H 'Authorization: Bearer {token}'"
            f" https://node1:8460/api/v1{path}"
        )
        return json.loads(self.host.run(asked).stdout)


def _variables(folder: Path, host: Host, packages: Path) -> dict[str, Any]:
    options = " ".join(f"-o {option}" for option in host.ssh_options)
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": host.ssh_port,
        "ansible_user": "root",
        "ansible_ssh_common_args": options,
        "ansible_python_interpreter": "/usr/bin/python3",
        "fairuse_install_version": "0.1.0",
        "fairuse_install_packages": str(packages),
        "fairuse_controller_names": ["node1"],
        "fairuse_controller_ca_directory": str(folder / "ca"),
        "fairuse_controller_operator_token_file": str(folder / "token"),
        "fairuse_agent_controller_url": "https://node1:8460",
        "fairuse_agent_ca_certificate": str(folder / "ca/ca.pem"),
        "fairuse_agent_settings": {"sampling": {"interval": "1s"}},
        # The guest is reached by SSH alone, so it is the one that asks its controller.
        "fairuse_api_from": "node1",
        "fairuse_api_url": "https://node1:8460",
        "fairuse_api_token": f"{{{{ lookup('ansible.builtin.file', '{folder}/token') }}}}",
        "fairuse_api_ca_certificate": "/etc/fairuse/controller-ca.pem",
        "fairuse_gate_watch_seconds": 10,
        # An emulated processor is many times slower than the one that the default is for.
        "fairuse_gate_cpu_share": 1.0,
    }


def _inventory(variables: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = {"hosts": {"node1": {}}}
    return {
        "all": {
            "vars": variables,
            "children": {"fairuse_controllers": node, "fairuse_agents": node},
        }
    }
