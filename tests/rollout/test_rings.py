"""The plays that go ring by ring, with Ansible itself. What is done to a host is stood in for: its
name is noted, and it fails where a test says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rollout.collection import COLLECTION
from tests.rollout.operator import ansible_programs

NODES = [f"node-{number:02}" for number in range(1, 15)]
CANARIES = ["node-07", "node-08"]
_NOTE = """
- ansible.builtin.lineinfile:
    path: "{{ noted }}"
    line: "{{ inventory_hostname }}"
    create: true
  throttle: 1
"""
_FAIL = """
- ansible.builtin.fail:
  when: inventory_hostname == sick
"""


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """The collection's own plays and filters, and roles that only note."""
    place = tmp_path / "collections/ansible_collections/fairuse/fairuse"
    place.mkdir(parents=True)
    for part in ("playbooks", "plugins", "meta", "galaxy.yml"):
        (place / part).symlink_to(COLLECTION / part)
    for role, tasks in {"fairuse_agent": _NOTE, "fairuse_gate": _FAIL}.items():
        file = place / "roles" / role / "tasks/main.yml"
        file.parent.mkdir(parents=True)
        file.write_text(tasks)
    return tmp_path / "collections"


def rollout(collections: Path, folder: Path, *, sick: str) -> tuple[str, list[str]]:
    """What Ansible said, and which hosts were installed in which order."""
    inventory = {
        "all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "noted": str(folder / "noted"),
                "sick": sick,
            },
            "children": {
                "fairuse_agents": {"hosts": {node: {} for node in NODES}},
                "fairuse_canary": {"hosts": {node: {} for node in CANARIES}},
            },
        }
    }
    (folder / "inventory.json").write_text(json.dumps(inventory))
    played = subprocess.run(
        [
            ansible_programs() / "ansible-playbook",
            *("-i", str(folder / "inventory.json")),
            *("-e", "ansible_become=false", "fairuse.fairuse.rollout"),
        ],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_FORKS": "2",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    noted = folder / "noted"
    assert noted.exists(), played.stdout + played.stderr
    return played.stdout, noted.read_text().split()


def test_rings_follow_one_another_canaries_first(collections: Path, tmp_path: Path) -> None:
    output, installed = rollout(collections, tmp_path, sick="nobody")
    assert "failed=1" not in output
    assert set(installed[:2]) == set(CANARIES)
    assert installed[2:4] == ["node-01", "node-02"], "a hundredth and a tenth are one each here"
    assert sorted(installed) == NODES


def test_a_ring_with_a_sick_host_is_the_last(collections: Path, tmp_path: Path) -> None:
    output, installed = rollout(collections, tmp_path, sick="node-08")
    assert "failed=1" in output
    assert sorted(installed) == CANARIES
