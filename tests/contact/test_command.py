"""The provider's own program as a channel: real programs, run as the controller runs them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from controller.contact.command import CommandChannel
from controller.contact.delivery import Accepted, Outcome, Refused
from controller.contact.notice import Queued, render
from controller.contact.webhook import payload
from controller.settings import Command
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration
from tests.contact import samples


def notice() -> Any:
    about = Queued(samples.FIRST_NOTICE, "first-notice", samples.NOW, samples.document())
    return render([about], TenantContact(name="Anna"), samples.terms(), written_at=samples.NOW)


async def run(directory: Path, script: str, *, seconds: float = 60.0) -> Outcome:
    """What a shell script says to a notice."""
    path = directory / "tell"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    channel = CommandChannel(
        Command(argv=(str(path), "a b", "$HOME;exit 1"), timeout=Duration(seconds))
    )
    return await channel.send(notice(), TenantContact(), samples.NOW)


def is_running(pid: int) -> bool:
    """Whether it is there and not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_the_first_line_of_an_accepted_notice_is_its_answer(tmp_path: Path) -> None:
    outcome = await run(tmp_path, "cat > /dev/null; echo ticket 4711; echo more")
    assert outcome == Accepted("command", "ticket 4711")


async def test_it_gets_what_a_webhook_gets(tmp_path: Path) -> None:
    outcome = await run(tmp_path, f"cat > {tmp_path}/got")
    assert outcome == Accepted("command", "exit 0")
    got = (tmp_path / "got").read_bytes()
    assert got == payload(notice())
    assert json.loads(got)["data"]["notice"] == samples.FIRST_NOTICE


async def test_its_arguments_pass_no_shell(tmp_path: Path) -> None:
    outcome = await run(tmp_path, 'cat > /dev/null; echo "$# $1 $2"')
    assert outcome == Accepted("command", "2 a b $HOME;exit 1")


@pytest.mark.parametrize(
    ("script", "for_good", "reason"),
    [
        ("echo the queue is full >&2; exit 75", False, "exit 75: the queue is full"),
        ("echo no such customer >&2; exit 1", True, "exit 1: no such customer"),
        ("echo said so; exit 76", True, "exit 76: said so"),
        ("kill -9 $$", False, "ended by signal 9: "),
    ],
)
async def test_how_it_ends_says_whether_to_come_again(
    script: str, for_good: bool, reason: str, tmp_path: Path
) -> None:
    outcome = await run(tmp_path, script)
    assert outcome == Refused("command", reason.strip(), for_good)


async def test_one_that_does_not_read_the_notice_can_accept_it(tmp_path: Path) -> None:
    assert await run(tmp_path, "exec <&-; echo ok") == Accepted("command", "ok")


async def test_endless_output_is_read_and_not_kept(tmp_path: Path) -> None:
    outcome = await run(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; exit 1")
    assert isinstance(outcome, Refused)
    assert len(outcome.reason) <= 300


async def test_at_its_limit_it_is_killed_with_its_children_and_tried_again(tmp_path: Path) -> None:
    outcome = await run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; wait", seconds=1.0)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good
    assert "contact.command.timeout (1s)" in outcome.reason
    child = int((tmp_path / "child").read_text())
    await _until_gone(child)


async def test_what_it_leaves_running_neither_holds_up_its_answer_nor_stays(tmp_path: Path) -> None:
    started = time.monotonic()
    outcome = await run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; echo done")
    assert outcome == Accepted("command", "done")
    assert time.monotonic() - started < 50
    await _until_gone(int((tmp_path / "child").read_text()))


async def test_a_controller_that_stops_meanwhile_leaves_nothing_running(tmp_path: Path) -> None:
    task = asyncio.create_task(run(tmp_path, f"echo $$ > {tmp_path}/self; exec sleep 600"))
    async with asyncio.timeout(60):
        while not (tmp_path / "self").exists() or not (tmp_path / "self").read_text():  # noqa: ASYNC110 - a file rings no bell
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until_gone(int((tmp_path / "self").read_text()))


@pytest.mark.parametrize("argv", [(), ("/nowhere/tell",)])
async def test_a_program_that_is_not_there_is_the_providers_own_fault(
    argv: tuple[str, ...],
) -> None:
    channel = CommandChannel(Command(argv=argv))
    outcome = await channel.send(notice(), TenantContact(), samples.NOW)
    assert isinstance(outcome, Refused)
    assert outcome.for_good is (not argv)
    assert ("contact.command" if not argv else "cannot be run") in outcome.reason


@pytest.mark.parametrize("given", [{"argv": ("tell",)}, {"timeout": Duration(0)}])
def test_a_command_that_depends_on_where_one_is_or_never_ends_is_refused(
    given: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match="expected"):
        Command(**given)


async def _until_gone(pid: int) -> None:
    assert pid != os.getpid()
    async with asyncio.timeout(30):
        while is_running(pid):  # noqa: ASYNC110 - a dying process rings no bell
            await asyncio.sleep(0.01)
