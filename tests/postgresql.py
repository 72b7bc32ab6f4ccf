"""PostgreSQL as a private instance: its own folder, a socket in it, gone after the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

_START_SECONDS = 60.0
OWNER = "fairuse"
_NUMBERS = count(1)


@dataclass
class PostgresqlServer:
    """A server that trusts whoever reaches its socket."""

    folder: Path
    programs: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{OWNER}@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """A new database; returns its name."""
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}")
        return name

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """One statement as the server's own user; returns its rows, if it has any."""
        user = _owner().pw_name
        with psycopg.connect(
            host=str(self.folder), dbname="postgres", user=user, autocommit=True
        ) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def make(self) -> None:
        """An empty cluster."""
        options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        user, group = _user_and_group()
        subprocess.run(
            [self.programs / "initdb", "-D", self.folder / "data", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=user,
            group=group,
        )
        self.start()
        self.run(f"CREATE ROLE {OWNER} LOGIN")

    def start(self) -> None:
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.folder}'",
            # Nothing here outlives the machine.
            "fsync": "off",
            **self.settings,
        }
        (self.folder / "data/postgresql.auto.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        user, group = _user_and_group()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data"],
                stdout=log,
                stderr=log,
                user=user,
                group=group,
            )
        until = time.monotonic() + _START_SECONDS
        while not (self.folder / ".s.PGSQL.5432").exists() or not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                pytest.fail((self.folder / "log").read_text())
            time.sleep(0.02)

    def change(self, setting: str, value: str) -> None:
        """As an administrator does while others are connected; it is in force when this ends."""
        self.run(f"ALTER SYSTEM SET {setting} = {value}")
        self.run("SELECT pg_reload_conf()")
        until = time.monotonic() + _START_SECONDS
        while self.run(f"SHOW {setting}") != [(value,)]:
            assert time.monotonic() < until, f"{setting} was never {value}"
            time.sleep(0.02)

    def stop(self) -> None:
        """Those who are connected are cut off."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(2)  # a "fast" shutdown
            self.process.wait(30)

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgresql_server(**settings: str) -> Iterator[PostgresqlServer]:
    """A server with these settings, running."""
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    if not found:
        pytest.skip("needs PostgreSQL, to be used as a real one: apt-get install postgresql")
    # Not pytest's: its path is too long for a socket, and another user has to reach it.
    folder = Path(tempfile.mkdtemp(prefix="fairuse-postgresql-"))
    shutil.chown(folder, _owner().pw_uid, _owner().pw_gid)
    server = PostgresqlServer(folder, found[0], settings)
    try:
        server.make()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _owner() -> pwd.struct_passwd:
    """The server refuses to be root's."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    return pwd.getpwnam("postgres")


def _user_and_group() -> tuple[int | None, int | None]:
    """What to become; only root can."""
    owner = _owner()
    return (owner.pw_uid, owner.pw_gid) if os.geteuid() == 0 else (None, None)
