"""A real Postfix and a real Dovecot: private instances on loopback, in folders of their own.

Nothing of the system's own configuration is read or changed. Each ends with the test that started
it; should the test be killed, `timeout` ends it soon after.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

PROGRAMS = ("postfix", "dovecot")
NEEDED = [
    pytest.mark.skipif(
        any(shutil.which(each, path="/usr/sbin:/usr/bin") is None for each in PROGRAMS),
        reason="needs postfix, dovecot-imapd and dovecot-lmtpd: mail is tested with real servers",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mail servers start only as root"),
]
LONGEST_SECONDS = 300
STARTS_WITHIN_SECONDS = 60.0
OWNER = pwd.getpwnam("nobody")
"""Whose the mailboxes are: mail servers deliver to nobody who is root."""
SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """\
compatibility_level = 3.6
myhostname = mx.{domain}
myorigin = {domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
alias_maps =
alias_database =
recipient_delimiter = +
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
notify_classes =
virtual_mailbox_domains = {domain}
"""
DOVECOT = """\
protocols = imap lmtp
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
ssl = required
ssl_cert = <{home}/certificate.pem
ssl_key = <{home}/key.pem
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail
}}
mail_location = maildir:{home}/mail/Maildir
first_valid_uid = 1
auth_username_format = %n
recipient_delimiter = +
service imap-login {{
  inet_listener imap {{
    port = {starttls_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def folder() -> Iterator[Path]:
    """One that the servers' own users can enter, which pytest's are not."""
    home = Path(tempfile.mkdtemp(prefix="fairuse-mail-", dir="/tmp"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def wait_until(done: Callable[[], bool], what: str, seconds: float = STARTS_WITHIN_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    process = subprocess.Popen(
        ["timeout", "--kill-after=10", str(LONGEST_SECONDS), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        wait_until(lambda: process.poll() is not None or answers(port), " ".join(command))
        if process.poll() is not None:
            said = process.stdout.read().decode()
            pytest.fail(f"{command} ended: {said}\n{log.read_text() if log.exists() else ''}")
        yield
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@dataclass
class Postfix:
    """One mail server for one domain."""

    home: Path
    port: int

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def mailbox(self, name: str) -> list[bytes]:
        """What was delivered to a mailbox of its own, oldest first."""
        new = self.home / "mail" / name / "new"
        files = (
            sorted(new.iterdir(), key=lambda each: each.stat().st_mtime_ns) if new.exists() else []
        )
        return [each.read_bytes() for each in files]

    def empty(self) -> None:
        for each in self.home.glob("mail/*/new/*"):
            each.unlink()


@contextmanager
def postfix(domain: str, port: int, settings: str) -> Iterator[Postfix]:
    with folder() as home:
        mail = home / "mail"
        mail.mkdir()
        os.chown(mail, OWNER.pw_uid, OWNER.pw_gid)
        (home / "queue").mkdir()
        (home / "data").mkdir()
        shutil.chown(home / "data", "postfix")
        (home / "main.cf").write_text(MAIN.format(domain=domain, home=home) + settings)
        (home / "master.cf").write_text(SERVICES.format(port=port))
        with running(["postfix", "-c", str(home), "start-fg"], port, home / "log"):
            yield Postfix(home, port)


@contextmanager
def providers_postfix(lmtp_port: int, port: int, customers_port: int) -> Iterator[Postfix]:
    """north.example: what is for the mailbox goes to Dovecot, the rest to the customers'."""
    with postfix(
        "north.example",
        port,
        f"virtual_mailbox_maps = static:all\nvirtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}\n"
        "relay_domains = example.org\n"
        f"transport_maps = inline:{{ {{ example.org = smtp:[127.0.0.1]:{customers_port} }} }}\n",
    ) as server:
        yield server


@contextmanager
def customers_postfix(port: int, providers_port: int, policy_port: int) -> Iterator[Postfix]:
    """example.org, with two people. Who is greylisted, the policy service says."""
    with postfix(
        "example.org",
        port,
        "virtual_mailbox_maps = inline:{ anna@example.org=anna/ bo@example.org=bo/ }\n"
        f"virtual_mailbox_base = /\nvirtual_uid_maps = static:{OWNER.pw_uid}\n"
        f"virtual_gid_maps = static:{OWNER.pw_gid}\nvirtual_transport = virtual\n"
        "relay_domains = north.example\n"
        f"transport_maps = inline:{{ {{ north.example = smtp:[127.0.0.1]:{providers_port} }} }}\n"
        "smtpd_recipient_restrictions = check_recipient_access"
        " inline:{ { later@example.org = 451 4.3.0 the disk is full } },"
        f" check_policy_service inet:127.0.0.1:{policy_port}, permit_mynetworks, reject\n",
    ) as server:
        # Known only now, and read by every new process of the delivery.
        main = server.home / "main.cf"
        main.write_text(
            main.read_text().replace(
                "virtual_mailbox_base = /", f"virtual_mailbox_base = {server.home}/mail"
            )
        )
        yield server


@dataclass
class Mailbox:
    """Dovecot with the one mailbox that everything to north.example ends in."""

    home: Path
    port: int
    starttls_port: int
    lmtp_port: int
    tls: ssl.SSLContext

    def messages(self, mailbox: str = "") -> list[bytes]:
        base = self.home / "mail" / "Maildir" / mailbox
        found = [*(base / "new").glob("*"), *(base / "cur").glob("*")]
        return [each.read_bytes() for each in found]

    def empty(self) -> None:
        for each in (self.home / "mail").rglob("[0-9]*"):
            if each.parent.name in ("new", "cur"):
                each.unlink()


@contextmanager
def dovecot() -> Iterator[Mailbox]:
    with folder() as home:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(home / "certificate.pem"))
        certificate.private_key_pem.write_to_path(str(home / "key.pem"))
        authority.cert_pem.write_to_path(str(home / "authority.pem"))
        tls = ssl.create_default_context()
        authority.configure_trust(tls)
        (home / "mail").mkdir()
        os.chown(home / "mail", OWNER.pw_uid, OWNER.pw_gid)
        box = Mailbox(home, free_port(), free_port(), free_port(), tls)
        (home / "dovecot.conf").write_text(
            DOVECOT.format(
                home=home,
                uid=OWNER.pw_uid,
                gid=OWNER.pw_gid,
                port=box.port,
                starttls_port=box.starttls_port,
                lmtp_port=box.lmtp_port,
            )
        )
        command = ["dovecot", "-F", "-c", str(home / "dovecot.conf")]
        with running(command, box.port, home / "dovecot.log"):
            yield box


@dataclass
class Greylist:
    """A policy service: whoever is in `unknown` is deferred the first time that it is asked."""

    port: int
    unknown: set[str] = field(default_factory=set)


@contextmanager
def greylist(port: int) -> Iterator[Greylist]:
    state = Greylist(port)

    class Serve(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipient = ""
            while line := self.rfile.readline().decode():
                name, _, value = line.rstrip("\n").partition("=")
                if name == "recipient":
                    recipient = value
                elif not name:
                    known = recipient not in state.unknown
                    state.unknown.discard(recipient)
                    action = "DUNNO" if known else "DEFER 4.2.0 greylisted, try again later"
                    self.wfile.write(f"action={action}\n\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Serve) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()


@dataclass
class Cutter:
    """In front of a mail server: cuts this many connections where it answers to the message."""

    port: int = 0
    cuts: int = 1


@asynccontextmanager
async def cutter(server_port: int) -> AsyncIterator[Cutter]:
    state = Cutter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
        sent = b""

        async def forward() -> None:
            nonlocal sent
            while chunk := await reader.read(65536):
                sent = (sent + chunk)[-16:]
                server_writer.write(chunk)
                await server_writer.drain()

        forwarding = asyncio.create_task(forward())
        while chunk := await server_reader.read(65536):
            if state.cuts and sent.endswith(b"\r\n.\r\n") and chunk.startswith(b"250"):
                # The server has the message, and nobody hears of it.
                state.cuts -= 1
                break
            writer.write(chunk)
        forwarding.cancel()
        server_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
