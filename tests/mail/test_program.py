"""The programs themselves: take-mail as mail servers pipe it, and the controller with a mailbox."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contact import samples
from tests.mail.letters import CASE, MAILBOX, SECRET, mail, report
from tests.mail.office import ANNA, office, reopened
from tests.mail.servers import (
    NEEDED,
    customers_postfix,
    dovecot,
    free_port,
    greylist,
    providers_postfix,
    wait_until,
)


def configuration(folder: Path, more: str = "") -> Path:
    (folder / "secret").write_bytes(SECRET)
    (folder / "secret").chmod(0o600)
    (folder / "tenants.toml").write_text(ANNA)
    file = folder / "controller.toml"
    file.write_text(
        f'mode = "contact"\n[listen]\nport = 0\n'
        f'[storage]\ndatabase = "sqlite+aiosqlite:///{folder}/fairuse.db"\n'
        f'[contact]\nlink_secret_file = "{folder}/secret"\n'
        f'tenants_file = "{folder}/tenants.toml"\n'
        f'[contact.mailbox]\nreply_to = "{MAILBOX}"\n{more}'
    )
    return file


def take_mail(config: Path, raw: bytes) -> int:
    command = [sys.executable, "-m", "controller.main", "take-mail", "--config", str(config)]
    return subprocess.run(
        command, input=raw, capture_output=True, timeout=60, check=False
    ).returncode


async def test_a_piped_mail_is_in_the_store_when_the_mail_server_hears_so(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    async with office(tmp_path) as made:
        await made.send()
        assert take_mail(config, mail(headers=f"Return-Path: <a@b>\nDelivered-To: {CASE}\n")) == 0
        assert take_mail(config, mail()) == 0
        await made.mailroom.judge_taken()
        assert (await made.case()).answers == ("acknowledge",)
        assert len(await made.mails()) == 1


async def test_a_piped_bounce_reaches_its_case(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    async with office(tmp_path) as made:
        await made.send()
        assert take_mail(config, report()) == 0
        await made.mailroom.judge_taken()
        assert (await made.case()).state == "held"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(mail(to="someone@north.example"), 67, id="not-about-a-case"),
        pytest.param(mail(to=CASE.replace(samples.CASE_ID, "c0")), 0, id="forged"),
        pytest.param(b"\x00" * 3_000_000, 0, id="no-mail-at-all"),
        pytest.param(b"", 75, id="nothing, so that the mail server keeps what it has"),
        pytest.param(b"\r\n", 75, id="an empty line"),
    ],
)
def test_what_is_not_taken_has_the_status_that_mail_servers_know(
    tmp_path: Path, raw: bytes, status: int
) -> None:
    assert take_mail(configuration(tmp_path), raw) == status


@pytest.mark.parametrize("broken", ["database", "settings", "secret"])
def test_a_mail_that_cannot_be_kept_now_stays_with_the_mail_server(
    tmp_path: Path, broken: str
) -> None:
    config = configuration(tmp_path)
    if broken == "database":
        (tmp_path / "fairuse.db").write_bytes(b"this is no database, whatever its name says")
    elif broken == "settings":
        config.write_text("mode = ")
    else:
        (tmp_path / "secret").unlink()
        (tmp_path / "secret").mkdir()
    assert take_mail(config, mail()) == 75


@contextmanager
def controller(config: Path, trusted: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "controller.main", "run", "--config", str(config)],
        env={**os.environ, "SSL_CERT_FILE": str(trusted)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        yield
    finally:
        process.terminate()
        said = process.stderr.read().decode()
        assert process.wait(30) == 0, said
        process.stderr.close()


@pytest.mark.timeout(300)
class TestRunning:
    pytestmark = NEEDED

    async def test_an_answer_in_the_mailbox_reaches_its_case_in_the_running_controller(
        self, tmp_path: Path
    ) -> None:
        async with office(tmp_path) as made:
            await made.send()
        provider, customer, policy = free_port(), free_port(), free_port()
        (tmp_path / "password").write_text("secret\n")
        with (
            dovecot() as box,
            greylist(policy),
            providers_postfix(box.lmtp_port, provider, customer),
            customers_postfix(customer, provider, policy),
        ):
            config = configuration(
                tmp_path,
                f'[contact.mailbox.imap]\nhost = "127.0.0.1"\nport = {box.port}\n'
                f'username = "fairuse"\npassword_file = "{tmp_path}/password"\nlook_every = "1s"\n',
            )
            with controller(config, box.home / "authority.pem"):
                with smtplib.SMTP("127.0.0.1", customer) as client:
                    client.sendmail("anna@example.org", [CASE], mail())
                wait_until(lambda: len(box.messages(".Fairuse")) == 1, "mail that was taken")
        async with reopened(tmp_path) as made:
            await made.mailroom.judge_taken()
            assert (await made.case()).answers == ("acknowledge",)
            assert len(await made.mails()) == 1
