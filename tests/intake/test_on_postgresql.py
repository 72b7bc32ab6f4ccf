"""The program with PostgreSQL, a real one that goes away and comes back."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.intake.program import Program, command, start, write_config
from tests.intake.serving import body_of
from tests.postgresql import PostgresqlServer, postgresql_server


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    with postgresql_server() as started:
        yield started


@pytest.fixture
def program(server: PostgresqlServer, tmp_path: Path) -> Iterator[Program]:
    config = write_config(tmp_path, database=server.url(server.create()))
    started = start(tmp_path, config)
    yield started
    started.process.kill()
    started.process.wait(10)


def test_promise_5_what_it_acknowledged_is_there_when_its_database_comes_back(
    program: Program, server: PostgresqlServer
) -> None:
    credential = program.enrol("h1")
    now = time.time()
    first, second = (body_of("h1", number, ended_at=now + number) for number in (1, 2))
    assert program.report(credential, first)["acknowledged_sequence"] == 1
    server.stop()

    with pytest.raises((urllib.error.URLError, ConnectionError)):
        program.report(credential, second)
    assert program.process.wait(20) == 1
    assert "the controller ends" in program.log
    refused = command(program.config, "run")
    assert refused.returncode == 2
    assert "storage.database" in refused.stderr
    assert "Traceback" not in refused.stderr

    server.start()
    again = start(program.directory, program.config)
    try:
        assert again.report(credential, first)["acknowledged_sequence"] == 1
        assert again.report(credential, second)["acknowledged_sequence"] == 2
    finally:
        again.process.kill()
        again.process.wait(10)


def test_commands_and_a_running_controller_take_turns(program: Program) -> None:
    made = [
        command(program.config, "token", "--role", "viewer", "--name", f"v{number}")
        for number in range(3)
    ]

    assert [done.returncode for done in made] == [0, 0, 0]
    assert program.enrol("h1")
