"""`fairuse run` as a new user starts it: real programs, on a port of their own."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from controller.settings import load_controller_settings
from fairuse_agent.limiter.settings import load_limiter_settings
from fairuse_agent.settings import load_agent_settings
from fairuse_agent.tenancy.discovery.kinds import Sources, kinds_of
from fairuse_agent.tenancy.ownership import Ownership
from fairuse_cli import run as run_module
from fairuse_cli.access import CliSettings
from fairuse_cli.processes import Program, output_of
from fairuse_cli.run import _Run
from fairuse_cli.run_files import RunFiles, RunFilesError
from fairuse_protocol.settings import load_settings

Running = tuple[Program, RunFiles, str]
"""`fairuse run`, its files, and the controller's address."""
Stopping = tuple[_Run, Program, list[str]]
"""A run, its limiter, and what `lift-all` said."""


def children(pid: int) -> dict[str, int]:
    """The programs that `fairuse run` started, by the module that each runs."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "run" in words:
            found[words[words.index("run") - 1]] = int(child)
    return found


def still_there(pids: dict[str, int]) -> list[str]:
    return [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()]


async def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.05)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """`fairuse run` with its default files, except for the port."""
    files = RunFiles(tmp_path / "var")
    files.write_defaults()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for config in (files.agent_config, files.controller_config):
        config.write_text(config.read_text().replace("8460", port))
    argv = [sys.executable, "-m", "fairuse_cli.main", "run", "--directory", str(files.directory)]
    program = Program("run", argv, log_file=tmp_path / "run.log")
    await program.start()
    try:
        await until(lambda: "Ctrl-C stops it" in "\n".join(program.last_lines(200)))
        yield program, files, f"http://127.0.0.1:{port}"
    finally:
        await program.stop(20)


async def test_it_watches_contacts_nobody_limits_nobody_and_ends_on_ctrl_c(
    running: Running,
) -> None:
    program, files, url = running
    said = "\n".join(program.last_lines(200))
    assert "observe: watching, contacting nobody, limiting nobody" in said
    token = files.token.read_text().strip()
    assert token not in said
    assert stat.S_IMODE(files.token.stat().st_mode) == 0o600
    basic = base64.b64encode(f"me:{token}".encode()).decode()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {basic}"}) as session,
        session.get(url) as page,
    ):
        assert page.status == 200
    cli = load_settings(files.directory / "cli.toml", CliSettings)
    assert (cli.url, cli.token_file) == (url, "token")
    assert program.pid is not None
    pids = children(program.pid)
    assert {"controller.main", "fairuse_agent.main"} <= set(pids)
    assert ("fairuse_agent.limiter.main" in pids) == (os.geteuid() == 0)
    if os.geteuid() != 0:
        assert "no limiter, for that needs root" in said

    os.kill(program.pid, signal.SIGINT)

    assert await asyncio.wait_for(program.wait(), 20) == 0
    assert not still_there(pids)


async def test_a_program_that_dies_is_named_with_its_last_lines_and_ends_the_rest(
    running: Running,
) -> None:
    program, _, _ = running
    assert program.pid is not None
    pids = children(program.pid)
    await until(lambda: "agent      | " in "\n".join(program.last_lines(200)))

    os.kill(pids["fairuse_agent.main"], signal.SIGKILL)

    assert await asyncio.wait_for(program.wait(), 30) == 5
    said = "\n".join(program.last_lines(200))
    assert "fairuse: agent was ended by SIGKILL; the end of " in said
    assert "INFO watching " in said.partition("agent was ended by")[2]
    assert not still_there(pids)


@pytest.fixture
async def stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stopping]:
    """A run whose limiter is a harmless program, to be killed; and what `lift-all` was told."""
    files = RunFiles(tmp_path / "var")
    files.write_defaults()
    run = _Run(files)
    said: list[str] = []
    run._limiter = Program("limiter", ["sleep", "60"], log_file=tmp_path / "limiter.log")
    real = output_of

    async def heard(argv: tuple[str, ...]) -> str:
        said.append(await real(argv))
        return said[-1]

    monkeypatch.setattr(run_module, "output_of", heard)
    await run._limiter.start()
    try:
        yield run, run._limiter, said
    finally:
        await run._limiter.stop()


@pytest.mark.kernel
async def test_a_killed_limiters_limits_are_lifted_by_the_command_that_does_that(
    stopping: Stopping, capsys: pytest.CaptureFixture[str]
) -> None:
    run, limiter, said = stopping
    assert limiter.pid is not None
    os.kill(limiter.pid, signal.SIGKILL)
    await limiter.wait()
    await run._stop()
    assert said == ["nothing is limited"]
    assert "lift-all   | nothing is limited" in capsys.readouterr().out


async def test_when_limits_cannot_be_lifted_a_person_is_told(
    stopping: Stopping, capsys: pytest.CaptureFixture[str]
) -> None:
    run, limiter, _ = stopping
    run._files.limiter_config.write_text("nonsense = 1\n")
    assert limiter.pid is not None
    os.kill(limiter.pid, signal.SIGKILL)
    await limiter.wait()
    await run._stop()
    assert "fairuse: limits may still stand on this host: " in capsys.readouterr().out


def test_the_default_files_can_be_read_and_are_written_once(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "var")
    assert len(files.write_defaults()) == 4
    assert load_controller_settings(files.controller_config).mode == "observe"
    assert load_limiter_settings(files.limiter_config).socket == str(
        files.directory / "limiter.sock"
    )
    agent = load_agent_settings(files.agent_config)
    assert agent.limiter.socket == str(files.directory / "limiter.sock")
    files.agent_config.write_text("# mine\n")
    assert files.write_defaults() == []
    assert files.agent_config.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("path", "tenant"),
    [
        ("/machine.slice/systemd-nspawn@shop.service", "shop"),
        ("/qemu.slice/104.scope", "104"),
        ("/lxc/105", "105"),
        ("/lxc.payload.blog", "blog"),
        (f"/system.slice/docker-{'4f' * 32}.scope", "4f4f4f4f4f4f"),
        (f"/docker/{'4f' * 32}", "4f4f4f4f4f4f"),
        ("/user.slice/user-0.slice", None),
        ("/system.slice/ssh.service", None),
    ],
)
def test_what_is_discovered_by_default_are_the_usual_tenants(
    tmp_path: Path, path: str, tenant: str | None
) -> None:
    files = RunFiles(tmp_path / "var")
    files.write_defaults()
    settings = load_agent_settings(files.agent_config)
    sources = Sources(None, None, (), pve=tmp_path)
    ownership = Ownership(settings, kinds_of(settings, sources))
    owner = ownership.owner_of_cgroup(path)
    ownership.close()
    assert (owner.tenant if owner else None) == tenant


def test_a_directory_too_long_for_a_socket_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RunFilesError, match="name a shorter --directory"):
        RunFiles(tmp_path / ("x" * 120)).write_defaults()


def test_a_directory_that_toml_could_not_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFilesError, match="without quotes"):
        RunFiles(tmp_path / 'a"b').write_defaults()
