"""Plays that ask the controller, with Ansible itself: what the operator is told of the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from controller.web.gate_messages import GateAnswer, RingLine
from tests.rollout.collection import COLLECTION
from tests.rollout.operator import ansible_programs

WELL = GateAnswer(
    at=1_800_000_000.0,
    version="0.1.0",
    mode="contact",
    paused=False,
    rings=(RingLine(name="unknown", mode="observe", hosts=()),),
    hosts=2,
    tenants=7,
    held=1,
    problems=(),
    reasons=(),
)
ENROL = """
- hosts: fairuse_agents
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: fairuse.fairuse.fairuse_agent
        tasks_from: enrol
"""


class _Controller(BaseHTTPRequestHandler):
    """Answers its gate, and refuses everything else."""

    answer = WELL

    def do_GET(self) -> None:
        self._say(200, msgspec.json.encode(self.answer))

    def do_POST(self) -> None:
        self._say(401, b'{"error": "token: expected a good one"}')

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its base has it so)
        """Nothing on the terminal."""


@pytest.fixture
def controller() -> Iterator[HTTPServer]:
    class Handler(_Controller):
        """Of this test, whose answer it may change."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def play(folder: Path, server: HTTPServer, playbook: str, **variables: str) -> tuple[int, str]:
    """How it ended, and what Ansible said as one line."""
    place = folder / "collections/ansible_collections/fairuse"
    place.mkdir(parents=True)
    (place / "fairuse").symlink_to(COLLECTION)
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    url = f"http://127.0.0.1:{server.server_port}"
    settings = {"fairuse_api_url": url, "fairuse_api_token": "secret", **variables}
    inventory = {
        "all": {
            "vars": {**host, **settings, "fairuse_agent_controller_url": url},
            "children": {"fairuse_agents": {"hosts": {"node-1": {}}}},
        }
    }
    (folder / "inventory.json").write_text(json.dumps(inventory))
    played = subprocess.run(
        [
            ansible_programs() / "ansible-playbook",
            *("-i", str(folder / "inventory.json")),
            *("-e", "ansible_become=false", playbook),
        ],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return played.returncode, " ".join((played.stdout + played.stderr).split())


def test_status_says_in_words_that_all_is_well(controller: HTTPServer, tmp_path: Path) -> None:
    ended, said = play(tmp_path, controller, "fairuse.fairuse.status")
    assert ended == 0, said
    assert '"verdict": "all is well"' in said
    assert '"at": "2027-01-15 08:00:00 UTC"' in said
    assert '"controller": "version 0.1.0, goes as far as contact"' in said
    assert '"hosts": "2 have reported, with 7 tenants"' in said
    assert '"rings": { "hosts of no ring": "observe" }' in said


def test_status_says_what_is_wrong(controller: HTTPServer, tmp_path: Path) -> None:
    reasons = ("node-2 has not reported for 99 s", "tenants.toml: cannot be used")
    handler = controller.RequestHandlerClass
    handler.answer = msgspec.structs.replace(WELL, reasons=reasons, paused=True)  # type: ignore[attr-defined] # this test's own handler
    _, said = play(tmp_path, controller, "fairuse.fairuse.status")
    told = "; ".join((*reasons, "all enforcement is paused"))
    assert f'"verdict": "{told}"' in said


def test_a_missing_certificate_is_named_with_its_variable(
    controller: HTTPServer, tmp_path: Path
) -> None:
    missing = str(tmp_path / "ca.pem")
    ended, said = play(
        tmp_path, controller, "fairuse.fairuse.status", fairuse_api_ca_certificate=missing
    )
    assert ended != 0
    assert "fairuse_api_ca_certificate: expected the certificate" in said
    assert f"found no file {missing}" in said


def test_an_enrolment_that_is_refused_tells_why_and_not_the_token(
    controller: HTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "enrol.yml").write_text(ENROL)
    ended, said = play(tmp_path, controller, str(tmp_path / "enrol.yml"))
    assert ended != 0
    assert "Expected a token for node-1" in said
    assert "401" in said
    assert "secret" not in said
