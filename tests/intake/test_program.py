"""The program itself, as it is started on a machine."""

from __future__ import annotations

import signal
import socket
import sqlite3
import ssl
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trustme

from tests.intake.program import Program, command, start, write_config
from tests.intake.serving import body_of


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    started = start(tmp_path, write_config(tmp_path))
    yield started
    started.process.kill()
    started.process.wait(10)


def test_promise_5_an_acknowledged_report_survives_kill_9(program: Program) -> None:
    credential = program.enrol("h1")
    now = time.time()

    for sequence in range(20):
        answer = program.report(credential, body_of("h1", sequence, ended_at=now + sequence))
        assert answer["acknowledged_sequence"] == sequence
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(10)

    assert program.stored() == 20


def test_a_controller_that_starts_again_knows_its_hosts_and_their_reports(
    program: Program,
) -> None:
    credential = program.enrol("h1")
    body = body_of("h1", ended_at=time.time())
    program.report(credential, body)
    program.process.kill()
    program.process.wait(10)

    again = start(program.directory, program.config)
    try:
        assert again.report(credential, body)["acknowledged_sequence"] == 1
        assert again.stored() == 1
    finally:
        again.process.kill()
        again.process.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_asked_to(program: Program, number: signal.Signals) -> None:
    program.process.send_signal(number)

    assert program.process.wait(10) == 0
    assert "Traceback" not in program.log
    *_, stops, stopped = program.log.splitlines()
    assert f"{number.name}: the controller stops" in stops
    assert stopped.endswith("the controller has stopped")


def test_it_ends_with_a_reason_when_it_can_store_no_more(program: Program) -> None:
    credential = program.enrol("h1")
    with sqlite3.connect(program.directory / "fairuse.db") as connection:
        connection.execute("DROP TABLE reports")
    connection.close()

    with pytest.raises(urllib.error.HTTPError) as refused:
        program.report(credential, body_of("h1", ended_at=time.time()))

    refused.value.close()
    assert refused.value.code == 503
    assert program.process.wait(10) == 1
    assert "no such table: reports" in program.log


def test_at_rest_it_needs_little_memory(program: Program) -> None:
    """Issue 2 asks for under 120 MB; a start that had to migrate is the larger one."""
    assert psutil.Process(program.process.pid).memory_info().rss < 120e6


def test_it_says_why_it_cannot_listen(program: Program) -> None:
    config = write_config(program.directory, port=program.port)
    second = command(config, "run")

    assert second.returncode == 1
    assert str(program.port) in second.stderr
    assert "in use" in second.stderr


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        pytest.param("[storag]\n", 'unknown key "storag"', id="a wrong key"),
        pytest.param('[smtp]\nhost = "x"\n', 'unknown key "smtp"', id="a wrong table"),
    ],
)
def test_a_wrong_configuration_stops_the_start(tmp_path: Path, extra: str, said: str) -> None:
    done = command(write_config(tmp_path, extra), "run")

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_policy_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(f'policies_file = "{tmp_path}/none.toml"\n' + config.read_text())

    done = command(config, "run")

    assert done.returncode == 2
    assert "none.toml" in done.stderr


def test_commands_work_without_a_server_and_print_the_secret_only(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    token = command(config, "token", "--role", "viewer", "--name", "vera")
    twice = command(config, "token", "--role", "viewer", "--name", "vera")
    enrolment = command(config, "enrolment-token", "--host", "h1")
    bad_host = command(config, "enrolment-token", "--host", "no host")

    assert token.returncode == enrolment.returncode == 0
    assert len(token.stdout.split()) == len(enrolment.stdout.split()) == 1
    assert (twice.returncode, bad_host.returncode) == (2, 2)
    assert "vera" in twice.stderr
    assert "no host" in bad_host.stderr


def test_what_is_revoked_on_the_command_line_is_gone(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    command(config, "token", "--role", "viewer", "--name", "vera")

    assert command(config, "revoke-token", "--name", "vera").returncode == 0
    assert command(config, "revoke-token", "--name", "vera").returncode == 2
    assert command(config, "revoke-host", "--host", "h1").returncode == 2


def test_with_a_certificate_it_serves_tls_only(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    config = write_config(
        tmp_path, certificate=str(tmp_path / "cert.pem"), private_key=str(tmp_path / "key.pem")
    )
    started = start(tmp_path, config)
    try:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with (
            socket.create_connection(("127.0.0.1", started.port), 5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
            assert tls.recv(20).startswith(b"HTTP/1.0 404")
            assert tls.version() in ("TLSv1.2", "TLSv1.3")
    finally:
        started.process.terminate()
        started.process.wait(10)


def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    config = write_config(tmp_path, certificate="/none.pem", private_key="/none.key")

    done = command(config, "run")

    assert done.returncode == 2
    assert "listen.certificate: /none.pem" in done.stderr
