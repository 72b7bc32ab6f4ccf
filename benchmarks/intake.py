"""How many reports a second a running controller acknowledges, durable and judged.

The controller runs as it would (its own process, its own SQLite file) pinned to one core; the
load comes from another core over keep-alive connections, of hosts that are enrolled. Some hosts
are contended for long enough that cases open. Beside it, in the same run: a bare aiohttp server
that reads the same bodies and answers, and each step of the work alone, in this process.

    python -m benchmarks.intake [--seconds 10] [--connections 256] [--database URL] [--json]

--database is an empty PostgreSQL to use instead; the steps alone are left out then.

`reports_per_cpu_second` is what the controller would do with a core to itself; compare it when
`share_of_the_core_got` is well under 1 because others use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.http_load import Load, run_load
from benchmarks.intake_steps import StepTimes, time_steps
from benchmarks.sample_reports import INTERVAL_SECONDS, Renumbered, sample_report
from controller.storage import tokens
from controller.storage.database import Database
from controller.web.intake import WORTH_A_COMMIT

TENANTS = 50
CONTENDED_SHARE = 0.05
HOSTS_PER_SECOND_OF_RUN = 200
"""So many that the contended hosts' reports are not too far ahead of the clock, up to 5,500/s."""
WARM_UP_REPORTS = 118
"""Of each contended host before the clock starts. Its reports then reach into the present, and only
there does a case open."""
PAST_SECONDS = 1190.0
REPORTS_PER_HOST = int((PAST_SECONDS + 280) / INTERVAL_SECONDS)
AIM_PER_SECOND = 4000

_BARE_SERVER = """
import sys
from aiohttp import web
async def report(request):
    await request.read()
    return web.Response(body=b'{"spool":"benchmark","acknowledged_sequence":1}')
app = web.Application(client_max_size=2**22)
app.router.add_post("/agent/v1/reports", report)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--database", default="", metavar="URL")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.seconds, arguments.connections, arguments.database))
    print(json.dumps(result) if arguments.json else as_text(result))


async def measure(seconds: float, connections: int, other: str = "") -> dict[str, object]:
    """Run everything once, on SQLite or on the other database."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("needs two cores: one for the controller, one for the load")
    server_core = cores[0]
    os.sched_setaffinity(0, set(cores[1:]))
    hosts = [f"host-{number:05d}" for number in range(int(HOSTS_PER_SECOND_OF_RUN * seconds))]
    with tempfile.TemporaryDirectory(prefix="fairuse-intake-") as name:
        directory = Path(name)
        url = other or f"sqlite+aiosqlite:///{directory}/fairuse.db"
        credentials = await _enrol(url, hosts)
        port = _free_port()
        bare_requests = _Requests(hosts, credentials, connections)
        with _server([sys.executable, "-c", _BARE_SERVER, str(port)], server_core, port):
            bare = await run_load(port, seconds / 2, connections, bare_requests.of)
        requests = _Requests(hosts, credentials, connections)
        config = _write_config(directory, url, port)
        command = [sys.executable, "-m", "controller.main", "run", "--config", str(config)]
        with _server(command, server_core, port) as controller:
            at_rest = controller.memory_info().rss
            await run_load(port, 60, connections, requests.warm_up)
            before = controller.cpu_times()
            load = await run_load(port, seconds, connections, requests.of)
            after = controller.cpu_times()
            loaded = controller.memory_info().rss
        stored = await _stored(url)
        cpu_seconds = after.user + after.system - before.user - before.system
        os.sched_setaffinity(0, {server_core})
        batch = min(connections, WORTH_A_COMMIT)
        steps = None if other else await time_steps(directory, batch=batch)
    return _result(load, bare, steps, cpu_seconds, at_rest, loaded, stored, len(hosts), connections)


def _result(
    load: Load,
    bare: Load,
    steps: StepTimes | None,
    cpu_seconds: float,
    at_rest: int,
    loaded: int,
    stored: tuple[int, int],
    hosts: int,
    connections: int,
) -> dict[str, object]:
    cpu_microseconds = cpu_seconds / load.answered * 1e6
    return {
        "reports_per_second": round(load.per_second),
        "aim_per_second": AIM_PER_SECOND,
        "reports_per_cpu_second": round(1e6 / cpu_microseconds),
        "share_of_the_core_got": round(cpu_seconds / load.seconds, 2),
        "acknowledged": load.answered,
        "stored_with_warm_up": stored[0],
        "cases_opened": stored[1],
        "tenants_per_report": TENANTS,
        "hosts": hosts,
        "connections": connections,
        "seconds": round(load.seconds, 2),
        "latency_ms": {
            "median": round(load.latency(0.5) * 1e3, 2),
            "p99": round(load.latency(0.99) * 1e3, 2),
        },
        "controller_cpu_microseconds_per_report": {
            "all": round(cpu_microseconds, 1),
            **(_of_steps(steps, cpu_microseconds) if steps else {}),
        },
        "bare_aiohttp_per_second": round(bare.per_second),
        "ratio_to_bare": round(load.per_second / bare.per_second, 3),
        "rss_at_rest_mb": round(at_rest / 1e6, 1),
        "rss_after_load_mb": round(loaded / 1e6, 1),
    }


def _of_steps(steps: StepTimes, all_microseconds: float) -> dict[str, float]:
    inside = steps.decode + steps.rule + steps.commit
    return {
        "http": round(all_microseconds - inside, 1),
        "decode": round(steps.decode, 1),
        "window_and_rule": round(steps.rule, 1),
        "commit": round(steps.commit, 1),
    }


def as_text(result: dict[str, object]) -> str:
    return "\n".join(f"{name:40} {value}" for name, value in result.items())


class _Requests:
    """Whole HTTP requests; each connection speaks for its own hosts, in turn."""

    def __init__(self, hosts: list[str], credentials: dict[str, str], connections: int) -> None:
        started_at = time.time() - PAST_SECONDS
        self._series = [
            (
                _head(credentials[host]),
                Renumbered(
                    sample_report(
                        host,
                        tenants=TENANTS,
                        contended=number % round(1 / CONTENDED_SHARE) == 0,
                        started_at=started_at,
                    )
                ),
            )
            for number, host in enumerate(hosts)
        ]
        self._connections = connections

    def warm_up(self, connection: int) -> Iterator[bytes]:
        """Every host's first report, and so many of the contended ones that their cases open."""
        yield from _round_robin(self._series[connection :: self._connections], 1)
        contended = self._series[:: round(1 / CONTENDED_SHARE)]
        yield from _round_robin(contended[connection :: self._connections], WARM_UP_REPORTS)

    def of(self, connection: int) -> Iterator[bytes]:
        return _round_robin(self._series[connection :: self._connections], REPORTS_PER_HOST)


def _round_robin(hosts: list[tuple[bytes, Renumbered]], until: int) -> Iterator[bytes]:
    """A report of each host in turn, until each has sent this many."""
    left = hosts
    while left:
        left = [host for host in left if host[1].count < until]
        for head, series in left:
            body = series.next()
            yield head % len(body) + body


def _head(credential: str) -> bytes:
    return (
        "POST /agent/v1/reports HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {credential}\r\nContent-Type: application/msgpack\r\n"
        "Content-Length: %d\r\n\r\n"
    ).encode()


async def _enrol(url: str, hosts: list[str]) -> dict[str, str]:
    database = await Database.open(url)
    credentials = {host: tokens.new_secret() for host in hosts}
    async with database.write() as connection:
        for host, credential in credentials.items():
            token = tokens.new_secret()
            await tokens.add_enrolment_token(connection, token=token, host=host, expires_at=2.0)
            await tokens.enrol(connection, host=host, token=token, credential=credential, now=1.0)
    await database.close()
    return credentials


async def _stored(url: str) -> tuple[int, int]:
    """How many reports and cases the controller left behind."""
    database = await Database.open(url)
    async with database.read() as connection:
        reports = (await connection.exec_driver_sql("SELECT count(*) FROM reports")).scalar_one()
        cases = (await connection.exec_driver_sql("SELECT count(*) FROM cases")).scalar_one()
    await database.close()
    return reports, cases


def _write_config(directory: Path, url: str, port: int) -> Path:
    (directory / "tenants.toml").touch()
    config = directory / "controller.toml"
    config.write_text(
        f'[listen]\nport = {port}\n[storage]\ndatabase = "{url}"\n'
        f'[contact]\nlink_secret_file = "{directory}/link-secret"\n'
        f'tenants_file = "{directory}/tenants.toml"\n'
    )
    return config


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(command: list[str], core: int, port: int) -> Iterator[psutil.Process]:
    """A server process on one core, from when it listens until the block ends."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            os.sched_setaffinity(process.pid, {core})
            _wait_until_listening(process, port)
            yield psutil.Process(process.pid)
            if process.poll() is not None:
                raise RuntimeError("the server ended during the run")
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode()[-4000:])
            raise
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.5)  # so that "at rest" is after its start
                return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")


if __name__ == "__main__":
    main()
