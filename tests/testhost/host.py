"""What a test holds: a booted Debian 12 with Fairuse installed as a user would install it."""

from __future__ import annotations

import io
import shlex
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path, PurePosixPath

from . import keys, wheels
from .cache import REPOSITORY
from .image import Image, image
from .machine import Machine, Shape
from .remote import Remote, RemoteCommandFailedError, Result

_TESTS_AT = "/root/fairuse"
_GIT_FILES = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")


class BootFailedError(Exception):
    """The machine did not come up; the message ends with its console."""


class Host:
    """One machine and the way into it. `stop` it, or use it in a `with` statement."""

    def __init__(self, shape: Shape | None = None, booted_from: Image | None = None) -> None:
        self.name = (shape or Shape()).name
        found = booted_from or image()
        self.machine = Machine(found, shape or Shape())
        self._remote = Remote(self.machine.ssh_port, keys.private_key(), found.host_key)
        # Times in tests that a person would call "long enough" are to be multiplied by this.
        self.slowness = self.machine.accelerator.slowness

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ssh_port(self) -> int:
        """On 127.0.0.1 of this machine."""
        return self.machine.ssh_port

    @property
    def ssh_options(self) -> list[str]:
        """For another program that uses ssh: each is the argument of an `-o`."""
        return list(self._remote.options)

    def forward(self, port: int) -> int:
        """A port of 127.0.0.1 here that leads to that port of the machine, until its reboot."""
        return self._remote.forward(port)

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        timeout_seconds: float = 120.0,
        stdin: str | bytes = "",
    ) -> Result:
        """Run it in root's shell; with `check`, a failure raises with both outputs."""
        patience = timeout_seconds * self.slowness
        return self._remote.run(command, check=check, timeout_seconds=patience, stdin=stdin)

    def python(
        self, script: str, *arguments: str, check: bool = True, timeout_seconds: float = 120.0
    ) -> Result:
        """Run a script with the Python that Fairuse is installed in."""
        words = shlex.join(["/opt/fairuse/bin/python", "-", *arguments])
        return self.run(words, check=check, timeout_seconds=timeout_seconds, stdin=script)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """A whole file there; its folder is made if needed."""
        folder = shlex.quote(str(PurePosixPath(path).parent))
        file = shlex.quote(path)
        self.run(f"mkdir -p {folder} && cat >{file} && chmod {mode:o} {file}", stdin=content)

    def read(self, path: str) -> str:
        """A whole text file from there."""
        return self.run(f"cat {shlex.quote(path)}").stdout

    def put(self, source: Path, path: str) -> None:
        """This machine's file or folder, as `path` on the test host."""
        packed = io.BytesIO()
        where = PurePosixPath(path)
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(source, arcname=where.name)
        folder = shlex.quote(str(where.parent))
        self.run(
            f"mkdir -p {folder} && tar -x --no-same-owner -C {folder}", stdin=packed.getvalue()
        )

    def get(self, path: str, target: Path) -> None:
        """The test host's text file, as `target` on this machine."""
        target.write_text(self.read(path))

    def wait_until_up(self) -> None:
        """Until SSH answers and systemd has started everything."""
        give_up = time.monotonic() + self.machine.accelerator.boot_seconds
        while True:
            try:
                answer = self._remote.run("true", check=False, timeout_seconds=30)
            except RemoteCommandFailedError:
                answer = None
            if answer and answer.returncode == 0:
                break
            if self.machine.gave_up() or time.monotonic() > give_up:
                raise BootFailedError(
                    f"{self.name}: no SSH. Its console ends with:\n{self.machine.console()}"
                )
            time.sleep(0.2)
        self.run("systemctl is-system-running --wait", check=False)

    def install(self) -> None:
        """Fairuse as it is in this tree, into /opt/fairuse; its programs are on the PATH."""
        with tempfile.TemporaryDirectory() as folder:
            wheel = wheels.fairuse_wheel(Path(folder))
            self.put(wheel, f"/root/{wheel.name}")
        self.run(
            "/opt/fairuse/bin/pip install --quiet --no-index --no-deps --force-reinstall"
            f" --disable-pip-version-check /root/{wheel.name}"
        )

    def reboot(self) -> None:
        """In order, like an administrator; the disk is kept."""
        self.run("systemctl reboot", check=False)
        self._remote.forget_connection()
        self.machine.start_again()
        self.wait_until_up()

    def pytest(
        self, arguments: str, *, check: bool = True, timeout_seconds: float = 600.0
    ) -> Result:
        """Run a part of this repository's own tests there, against the installed Fairuse."""
        files = subprocess.run(
            [*_GIT_FILES, "tests", "config", "benchmarks", "docs", "pyproject.toml", "README.md"],
            cwd=REPOSITORY,
            capture_output=True,
            check=True,
        ).stdout.split(b"\0")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in filter(None, files):
                archive.add(REPOSITORY / name.decode(), arcname=name.decode())
        self.run(
            f"rm -rf {_TESTS_AT} && mkdir {_TESTS_AT} && tar -x --no-same-owner -C {_TESTS_AT}",
            stdin=packed.getvalue(),
        )
        command = f"cd {_TESTS_AT} && /opt/fairuse-tests/bin/python -m pytest {arguments}"
        return self.run(command, check=check, timeout_seconds=timeout_seconds)

    def shell(self) -> None:
        """An interactive shell on this terminal."""
        self._remote.shell()

    def stop(self) -> None:
        """Pull the plug; nothing is kept."""
        try:
            self._remote.close()
        finally:
            self.machine.stop()
