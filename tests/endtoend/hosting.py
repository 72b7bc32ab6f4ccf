"""One host with three tenants and the three real programs, until a limit stands."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fairuse_agent.limiter.kernel.mounts import read_mounts
from tests.limiter.place import child, remove_group, tag

LEASE_SECONDS = 20
BUSY = "while True: pass"
# Mostly asleep, and often at work for a moment: what waits when somebody takes the CPU.
MODEST = """
import time
while True:
    end = time.process_time() + 0.002
    while time.process_time() < end:
        pass
    time.sleep(0.008)
"""

POLICY = f"""
[rule]
window = "6s"
ratio = 1.1
min_share = 0.2
measured_share = 0.6
cpu = {{ contended_waiting = 0.02, harmed_waiting = 0.01 }}
[severity.low]
harmed_share = 0.0
waiting = 0.0
deadline = "2s"
[severity.high]
harmed_share = 1.0
waiting = 1.0
deadline = "2s"
[severity.critical]
harmed_share = 1.0
waiting = 1.0
deadline = "2s"
[times]
mail_arrives_within = "1s"
subsides_after = "60s"
[limit]
lease = "{LEASE_SECONDS}s"
step_every = "{LEASE_SECONDS - 1}s"
ease = 1.0
"""


class Hosting:
    """The programs, their files, and what the kernel says of the noisy tenant."""

    def __init__(self, directory: Path, parent: str) -> None:
        self.directory = directory
        self.parent = parent
        self.port = _free_port()
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def write_files(self, webhook: str) -> None:
        d = self.directory
        for name in ("agent", "limiter", "controller"):
            (d / name).mkdir(mode=0o700)
        secret = d / "whsec"
        secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        secret.chmod(0o600)
        files = {
            "policy.toml": POLICY,
            "policies.toml": 'files = ["policy.toml"]\n',
            "tenants.toml": f'[[tenants.hog.contacts]]\nwebhook_url = "{webhook}"\n'
            f'webhook_secret_file = "{secret}"\nchannels = ["webhook"]\n',
            "controller.toml": f'mode = "enforce"\npolicies_file = "{d}/policies.toml"\n'
            f"[listen]\nport = {self.port}\n"
            f'[storage]\ndatabase = "sqlite+aiosqlite:///{d}/controller/fairuse.db"\n'
            f'[contact]\nlink_secret_file = "{d}/controller/secret"\n'
            f'tenants_file = "{d}/tenants.toml"\ngroup_interval = "0s"\n',
            "limiter.toml": f'socket = "{d}/limiter/sock"\njournal = "{d}/limiter/journal"\n'
            'agent_users = []\nmax_silence = "1m"\n',
            "agent.toml": f'[controller]\nurl = "http://127.0.0.1:{self.port}"\n'
            f'credential_file = "{d}/agent/credential"\n'
            f'[sampling]\ninterval = "1s"\n[spool]\ndirectory = "{d}/agent/spool"\n'
            f'[host]\nname = "h1"\n[limiter]\nsocket = "{d}/limiter/sock"\n'
            f'[[tenants]]\ncgroup = "{self.parent}/{{tenant}}"\n',
        }
        for name, text in files.items():
            (d / name).write_text(text)

    def start_all(self) -> None:
        self.start("limiter")
        self.start("controller")
        self.until("the controller answers", lambda: self.get("/healthz") is not None)
        self._token = self._run("controller.main", "controller", "token", "--role", "viewer")
        enrolment = self._run("controller.main", "controller", "enrolment-token", "--host", "h1")
        self._run("fairuse_agent.main", "agent", "enrol", "--token", enrolment)
        self.start("agent")

    def start(self, name: str) -> None:
        module = {
            "agent": "fairuse_agent.main",
            "limiter": "fairuse_agent.limiter.main",
            "controller": "controller.main",
        }[name]
        config = str(self.directory / f"{name}.toml")
        with (self.directory / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                [sys.executable, "-m", module, "run", "--config", config], stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        self.programs[name].send_signal(signal.SIGKILL)
        self.programs[name].wait(10)

    def lift_all(self) -> None:
        self._run("fairuse_agent.limiter.main", "limiter", "lift-all")

    def stop_all(self) -> None:
        for name in ("agent", "limiter", "controller"):
            process = self.programs.get(name)
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)

    def get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError:
            return None

    def quota(self) -> str:
        mounts = [Path(root) for root in read_mounts().roots()]
        for mount in mounts:
            for name in ("cpu.cfs_quota_us", "cpu.max"):
                path = mount / self.parent.lstrip("/") / "hog" / name
                if path.exists():
                    return path.read_text().strip()
        raise AssertionError("no CPU quota file in any hierarchy")

    def until(self, what: str, seen: Callable[[], bool], seconds: float = 120) -> float:
        """When it was seen; fails with the programs' logs when it is not in time."""
        give_up = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > give_up:
                logs = [f"{p}\n{p.read_text()[-3000:]}" for p in self.directory.glob("*.log")]
                raise AssertionError(f"not seen in {seconds} s: {what}\n" + "\n".join(logs))
            time.sleep(0.1)
        return time.monotonic()

    def _run(self, module: str, program: str, command: str, *options: str) -> str:
        named = ("--name", "test") if command == "token" else ()
        config = ("--config", str(self.directory / f"{program}.toml"))
        done = subprocess.run(
            [sys.executable, "-m", module, command, *config, *options, *named],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def hosting(directory: Path) -> Iterator[Hosting]:
    """Three tenants at work and the three programs watching them, all ended afterwards."""
    parent = f"/fairuse-e2e-{tag()}"
    roots = [Path(root) for root in read_mounts().roots()]
    groups = [parent, *(f"{parent}/{tenant}" for tenant in ("hog", "calm", "quiet"))]
    made = Hosting(directory, parent)
    with contextlib.ExitStack() as stack:
        for group in groups:
            for root in roots:
                path = Path(f"{root}{group}")
                path.mkdir()
                stack.callback(remove_group, path)
        webhook = stack.enter_context(_receiver())
        for _ in range(2 * (os.cpu_count() or 1)):
            stack.enter_context(child(sys.executable, "-c", BUSY, group=f"{parent}/hog"))
        for tenant in ("calm", "quiet"):
            for _ in range(os.cpu_count() or 1):
                stack.enter_context(child(sys.executable, "-c", MODEST, group=f"{parent}/{tenant}"))
        made.write_files(webhook)
        stack.callback(made.stop_all)
        made.start_all()
        yield made


@contextlib.contextmanager
def _receiver() -> Iterator[str]:
    """The customer's endpoint: accepts every notice."""

    class Accept(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accept) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        finally:
            server.shutdown()
            thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
