"""The limiter as a process: who may speak to it, and what is left when it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fairuse_agent.limiter.server import MAX_CONNECTIONS, LimiterServer
from fairuse_protocol.limits import (
    GetState,
    LiftAll,
    LimiterAnswer,
    LimiterError,
    LimiterRequest,
    LimiterState,
    LimitOrder,
    SetLimits,
    TenantPlace,
    decode_limiter_answer,
    encode_line,
)
from fairuse_protocol.messages import Allowance
from tests.limiter import work
from tests.limiter.place import Limiter, cgroup, child, limiter, link
from tests.limiter.test_limiter_accuracy import knobs_of, network_of, prefer


class Held:
    """A limiter that holds one tenant's CPU and both directions of its interface."""

    def __init__(self, stack: ExitStack) -> None:
        self.limiter = stack.enter_context(limiter(proof='"200ms"'))
        self.group = stack.enter_context(cgroup())
        self.rest = stack.enter_context(cgroup())
        space, self.interface = stack.enter_context(link(address=77))
        program = (sys.executable, work.__file__)
        inside = ("ip", "netns", "exec", space)
        prefer(self.group)
        stack.enter_context(child(*program, "burn", group=self.group))
        stack.enter_context(child(*program, "sink", "10.213.77.1", "/dev/null"))
        stack.enter_context(child(*inside, *program, "source", "10.213.77.1"))
        stack.enter_context(child(*inside, *program, "sink", "10.213.77.2", "/dev/null"))
        stack.enter_context(child(*program, "source", "10.213.77.2"))
        time.sleep(1.0)
        self.before = self.standing()
        state = self.order()
        for _ in range(50):
            state = self.order()
            if len(state.held) == 3:
                break
            time.sleep(0.3)
        assert len(state.held) == 3, state.refused
        assert self.standing() != self.before

    def order(self) -> LimiterState:
        rate = Allowance(bytes_per_second=625e3)
        orders = [("o-cpu", "cpu", Allowance(cores=0.5))]
        orders += [("o-in", "net-in", rate), ("o-out", "net-out", rate)]
        return self.limiter.ask(
            SetLimits(
                orders=tuple(
                    LimitOrder(
                        order=name,
                        tenant="alder",
                        resource=resource,  # type: ignore[arg-type]  # one of the literals above
                        allowance=allowance,
                        fair_share=allowance,
                        remaining_seconds=60,
                    )
                    for name, resource, allowance in orders
                ),
                places=(
                    TenantPlace(
                        tenant="alder",
                        weight=1,
                        cgroups=(self.group,),
                        interfaces=(self.interface,),
                    ),
                    TenantPlace(tenant="rest", weight=9, cgroups=(self.rest,)),
                ),
                controller_heard_seconds_ago=0,
            )
        )

    def standing(self) -> list[object]:
        """Limit files, qdiscs, filters and IFBs, as the kernel shows them."""
        index = Path(f"/sys/class/net/{self.interface}/ifindex").read_text().strip()
        ifb = Path(f"/sys/class/net/fairuse-{int(index):x}").exists()
        return [knobs_of(self.group), network_of(self.interface), ifb]


@pytest.fixture
def held() -> Iterator[Held]:
    with ExitStack() as stack:
        yield Held(stack)


def lift_all(running: Limiter) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        running.command("lift-all"), capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.kernel
def test_a_killed_limiter_restores_everything_when_it_starts_again(held: Held) -> None:
    held.limiter.kill()
    assert held.standing() != held.before, "kill -9 leaves the limits standing"
    held.limiter.start()
    assert held.standing() == held.before
    lifted = held.limiter.ask(GetState()).lifted
    assert {(entry.reason, entry.restored) for entry in lifted} == {("limiter-started", True)}


@pytest.mark.kernel
def test_lift_all_restores_with_nothing_else_running(held: Held) -> None:
    held.limiter.kill()
    done = lift_all(held.limiter)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("restored") == 3
    assert held.standing() == held.before


@pytest.mark.kernel
def test_lift_all_asks_a_running_limiter_and_the_orders_stay_lifted(held: Held) -> None:
    done = lift_all(held.limiter)
    assert done.returncode == 0, done.stderr
    assert held.standing() == held.before
    state = held.order()
    assert [refused.promise for refused in state.refused] == [2, 2, 2]


@pytest.mark.kernel
def test_a_stop_by_sigterm_lifts_first(held: Held) -> None:
    status = subprocess.run(
        held.limiter.command("status", "--json"), capture_output=True, timeout=20, check=True
    )
    assert len(json.loads(status.stdout)["held"]) == 3
    assert held.limiter.kill(signal.SIGTERM) == 0
    assert held.standing() == held.before
    assert not held.limiter.socket.exists()


@pytest.mark.kernel
def test_kills_in_the_middle_of_work_are_made_good(held: Held) -> None:
    for pause in (0.0, 0.004, 0.011, 0.02):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(held.limiter.socket))
            connection.sendall(encode_line(LiftAll(reason="test")))
            time.sleep(pause)
            held.limiter.kill()
        held.limiter.start()
        assert held.standing() == held.before


@pytest.mark.kernel
def test_the_limiter_at_rest_and_at_work_stays_small(held: Held) -> None:
    assert held.limiter.process is not None
    status = Path(f"/proc/{held.limiter.process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    assert resident < 42_000, "kB, with pyroute2 in use"


@pytest.mark.kernel
def test_a_second_limiter_on_the_same_journal_does_not_start() -> None:
    with limiter() as running:
        second = subprocess.run(
            running.command("run"), capture_output=True, text=True, timeout=30, check=False
        )
        assert second.returncode == 2
        assert "is held by another process" in second.stderr


@pytest.mark.kernel
def test_lift_all_on_a_damaged_journal_says_what_to_do() -> None:
    with limiter() as running:
        running.kill()
        running.journal.write_bytes(running.journal.read_bytes() + b"rubbish\n")
        done = lift_all(running)
        assert done.returncode == 3
        assert "put back their `before` by hand" in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("max_limts = 3\n", 'did you mean "max_limits"', id="misspelt"),
        pytest.param('max_lease = "2d"\n', "expected 1s to 1d", id="out of range"),
    ],
)
def test_a_wrong_configuration_stops_the_start(tmp_path: Path, content: str, told: str) -> None:
    config = tmp_path / "limiter.toml"
    config.write_text(content)
    command = (sys.executable, "-m", "fairuse_agent.limiter.main", "run", "--config", str(config))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert str(config) in done.stderr
    assert told in done.stderr


async def converse(path: Path, users: dict[int, int], line: bytes) -> LimiterAnswer:
    import asyncio

    async def handle(request: LimiterRequest) -> LimiterAnswer:
        return LimiterState(ways={"asked": type(request).__name__})

    server = LimiterServer(path, users, handle)
    await server.start()
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return decode_limiter_answer(answer)
    finally:
        await server.stop()


async def test_a_user_that_is_not_named_is_refused(tmp_path: Path) -> None:
    answer = await converse(tmp_path / "s", {os.getuid() + 1: 0}, encode_line(GetState()))
    assert isinstance(answer, LimiterError)
    assert "agent_users" in answer.reason


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param(b"nonsense\n", "malformed", id="no JSON"),
        pytest.param(b'{"request":"format-disk"}\n', "format-disk", id="unknown request"),
        pytest.param(b'{"request":"lift-all","protocol":1}\n', "`reason`", id="missing field"),
        pytest.param(
            b'{"request":"get-state","protocol":9}\n', "expected 1, found 9", id="version"
        ),
    ],
)
async def test_a_bad_message_is_answered_with_what_is_wrong(
    tmp_path: Path, line: bytes, told: str
) -> None:
    answer = await converse(tmp_path / "s", {os.getuid(): 0}, line)
    assert isinstance(answer, LimiterError)
    assert told in answer.reason


async def test_the_socket_is_the_named_users_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    answer = await converse(path, {os.getuid(): 0}, encode_line(GetState()))
    assert answer == LimiterState(ways={"asked": "GetState"})
    assert not path.exists()


@contextlib.contextmanager
def as_user(number: int) -> Iterator[None]:
    """Connections made meanwhile come from this user."""
    os.seteuid(number)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.kernel
async def test_idle_connections_keep_neither_root_nor_their_own_user_out() -> None:
    import asyncio

    async def handle(request: LimiterRequest) -> LimiterAnswer:
        return LimiterState(ways={"asked": type(request).__name__})

    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="fairuse-lim-") as directory:
        path = Path(directory) / "s"
        os.chmod(directory, 0o755)  # noqa: PTH101  # Path.chmod is reported as blocking here
        server = LimiterServer(path, {0: 0, nobody.pw_uid: nobody.pw_gid}, handle)
        await server.start()
        path.chmod(0o666)
        writers = []

        async def ask(user: int, *, silent: bool = False) -> asyncio.StreamReader:
            with as_user(user):
                reader, writer = await asyncio.open_unix_connection(path)
            writers.append(writer)
            if not silent:
                writer.write(encode_line(GetState()))
                assert isinstance(decode_limiter_answer(await reader.readline()), LimiterState)
            return reader

        try:
            readers = [await ask(nobody.pw_uid, silent=True) for _ in range(MAX_CONNECTIONS)]
            for user in (0, nobody.pw_uid, 0):
                await ask(user)
            assert await asyncio.wait_for(readers[0].readline(), 5) == b"", "the oldest was closed"
            writers[1].write(encode_line(GetState()))
            assert isinstance(decode_limiter_answer(await readers[1].readline()), LimiterState)
        finally:
            for writer in writers:
                writer.close()
            await server.stop()


def test_an_ordinary_file_in_the_sockets_place_is_not_removed(tmp_path: Path) -> None:
    import asyncio

    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="expected a socket or nothing"):
        asyncio.run(converse(path, {os.getuid(): 0}, b"\n"))
    assert path.read_text() == "precious"
