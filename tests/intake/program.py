"""The controller as it is started on a machine, in a process of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_CONTROLLER = (sys.executable, "-m", "controller.main")
_START_SECONDS = 20.0


@dataclass
class Program:
    """A running controller."""

    directory: Path
    config: Path
    process: subprocess.Popen[bytes]
    port: int

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def post(self, path: str, body: bytes, **headers: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def enrol(self, host: str) -> str:
        token = command(self.config, "enrolment-token", "--host", host).stdout.strip()
        body = json.dumps({"host": host, "token": token}).encode()
        return str(self.post("/agent/v1/enrol", body)["credential"])

    def report(self, credential: str, body: bytes) -> Any:
        return self.post(
            "/agent/v1/reports",
            body,
            **{"Authorization": f"Bearer {credential}", "Content-Type": "application/msgpack"},
        )

    def stored(self) -> int:
        with sqlite3.connect(self.directory / "fairuse.db") as connection:
            (count,) = connection.execute("SELECT count(*) FROM reports").fetchone()
        connection.close()
        return int(count)


def command(config: Path, name: str, *rest: str) -> subprocess.CompletedProcess[str]:
    """One of its commands, at its end."""
    return subprocess.run(
        [*_CONTROLLER, name, "--config", str(config), *rest],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def write_config(directory: Path, extra: str = "", database: str = "", **listen: object) -> Path:
    """A controller.toml on a free port, with SQLite in this folder unless another is named."""
    database = database or f"sqlite+aiosqlite:///{directory}/fairuse.db"
    listen = {"port": 0} | listen
    config = directory / "controller.toml"
    config.write_text(
        "[listen]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in listen.items())
        + f'[storage]\ndatabase = "{database}"\n'
        + f'[contact]\nlink_secret_file = "{directory}/link-secret"\n'
        + f'tenants_file = "{directory}/tenants.toml"\n'
        + extra
    )
    return config


def start(directory: Path, config: Path) -> Program:
    """Start it, and wait until it serves."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*_CONTROLLER, "run", "--config", str(config)], stderr=log)
    program = Program(directory, config, process, 0)
    until = time.monotonic() + _START_SECONDS
    while "serving http" not in program.log:
        if process.poll() is not None or time.monotonic() > until:
            process.kill()  # else it outlives the test, which has nothing to end it by
            process.wait(10)
            pytest.fail(program.log)
        time.sleep(0.05)
    served = program.log.split("serving http", 1)[1].split(",")[0]
    program.port = int(served.rsplit(":", 1)[1])
    return program
