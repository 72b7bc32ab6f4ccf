"""The command as scripts and people meet it: a process, against the real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cases.world import POLICY
from tests.cli.served import Served, serve

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    status: int | None
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as served:
        yield served


async def fairuse(
    *words: str, served: Served | None = None, token: str | None = None, **environment: str
) -> Ended:
    """Run the command with nothing of this machine's settings, or with those of `served`."""
    given = {"PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "PATH": os.environ["PATH"]}
    if served is not None:
        given |= {"FAIRUSE_URL": served.url, "FAIRUSE_TOKEN": token or served.operator}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fairuse_cli.main",
        *words,
        env={**given, "COLUMNS": "80", "PYTHONUTF8": "1", **environment},
        cwd=ROOT / "tests",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ended(process.returncode, out.decode(), err.decode())


async def test_every_list_fits_eighty_columns_and_has_no_colour_in_a_pipe(served: Served) -> None:
    case_id = await served.limited()
    for words in (
        ["status"],
        ["hosts"],
        ["tenants"],
        ["cases"],
        ["top"],
        ["top", "--once"],
        ["case", case_id],
    ):
        ended = await fairuse(*words, served=served)
        assert (ended.status, ended.err) == (0, ""), words
        assert max(map(len, ended.out.splitlines())) <= 80, words
        assert "\x1b" not in ended.out, words


async def test_tenants_show_who_is_heaviest_and_the_case_about_them(served: Served) -> None:
    await served.notified()
    lines = (await fairuse("tenants", served=served)).out.splitlines()
    words = lines[2].split()
    assert words[:3] == ["hog", "h1", "6.0"]
    assert words[-5:] == ["3.0x", "cpu", "30", "%", "notified"]


async def test_a_case_shows_sentence_figures_chart_limit_lease_and_history(
    served: Served,
) -> None:
    case_id = await served.limited()
    shown = (await fairuse("case", case_id, served=served)).out
    flat = " ".join(shown.split())
    assert "hog used 6 of this machine's 8 CPU cores on average, 3.0 times" in flat
    assert "6.0 cores on average, 3.0x the fair share of 2.0 cores" in flat
    assert "3.0 cores (fair share 2.0), 1m 50s of its lease left" in flat
    assert "█" in shown
    assert "fair share\n" in shown
    assert "notice-accepted" in shown
    assert "by email: 250 ok" in shown


async def test_a_terminal_without_unicode_gets_plain_characters(served: Served) -> None:
    case_id = await served.notified()
    ended = await fairuse("case", case_id, served=served, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert ended.status == 0
    assert ended.out.isascii()
    assert "####" in ended.out


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["hosts"], "hosts"),
        (["tenants"], "tenants"),
        (["cases", "--state", "notified"], "cases"),
        (["status"], "open_cases"),
        (["top"], "tenants"),
    ],
)
async def test_json_is_one_document_and_nothing_else(
    served: Served, words: list[str], key: str
) -> None:
    await served.notified()
    ended = await fairuse(*words, "--json", served=served)
    assert (ended.status, ended.err) == (0, "")
    assert ended.document[key]


async def test_status_counts_a_tenant_once_on_however_many_hosts_it_is(served: Served) -> None:
    report = await served.world.report()
    desk = served.world.desk
    await desk.observe(desk.see(msgspec.structs.replace(report, host="h2")))
    status = (await fairuse("status", served=served)).out
    assert "hosts        2, with 4 tenants\n" in status
    assert "2 hosts, 4 tenants; " in (await fairuse("top", "--once", served=served)).out


async def test_status_tells_of_a_file_that_was_changed_and_cannot_be_used(
    served: Served, tmp_path: Path
) -> None:
    assert "PROBLEM" not in (await fairuse("status", served=served)).out
    (tmp_path / "tenants.toml").write_text("[tenants.hog]\nnme = 1\n")
    served.services.directory.refresh()
    flat = " ".join((await fairuse("status", served=served)).out.split())
    assert "PROBLEM" in flat
    assert 'unknown key "nme"' in flat
    assert "the contacts read before stay in force" in flat
    problems = (await fairuse("status", "--json", served=served)).document["problems"]
    assert "tenants.toml:2: " in problems[0]


async def test_status_puts_held_cases_into_a_line_of_their_own_with_what_to_type(
    served: Served,
) -> None:
    case_id = await served.notified()
    assert "HELD" not in (await fairuse("status", served=served)).out
    await fairuse("hold", case_id, "--reason", "x", served=served)
    status = (await fairuse("status", served=served)).out
    assert "HELD         1 case waits for a person: fairuse cases --state held\n" in status


async def test_steps_answer_with_the_case_and_its_new_state(served: Served) -> None:
    case_id = await served.notified()
    held = await fairuse("hold", case_id, "--reason", "asked to wait", served=served)
    assert held.status == 0
    assert held.out.startswith(f"Case {case_id} is held.")
    approved = await fairuse("approve", case_id, "--reason", "agreed", "--json", served=served)
    assert approved.document["order"]["ordered_by"] == "otto"
    lifted = await fairuse("lift", case_id, "--reason", "enough", "--json", served=served)
    assert lifted.document["order"] is None
    shown = (await fairuse("case", case_id, served=served)).out
    assert "closed      relieved, " in shown


async def test_dismissing_closes_the_case(served: Served) -> None:
    case_id = await served.notified()
    dismissed = await fairuse("dismiss", case_id, "--reason", "a mistake", "--json", served=served)
    assert dismissed.document["case"]["closing"] == "dismissed"


async def test_pause_stops_all_enforcement_until_resume(served: Served) -> None:
    await served.limited()
    paused = await fairuse("pause", "--reason", "maintenance", served=served)
    assert paused.status == 0
    assert served.world.desk.limits_for("h1", served.world.now) == ()
    assert "PAUSED" in (await fairuse("top", served=served)).out
    assert (await fairuse("status", "--json", served=served)).document["paused"] is True
    resumed = await fairuse("resume", "--json", served=served)
    assert resumed.document["paused"] is False


async def test_a_case_can_be_named_by_how_its_id_begins(served: Served) -> None:
    case_id = await served.notified()
    ended = await fairuse("case", case_id[:3], "--json", served=served)
    assert ended.document["case"]["id"] == case_id
    step = await fairuse("hold", case_id[:3], "--reason", "x", "--json", served=served)
    assert step.document["case"]["id"] == case_id


async def test_a_beginning_that_fits_several_cases_asks_for_more(served: Served) -> None:
    await served.notified()
    case_id = await served.case_id()
    await fairuse("dismiss", case_id, "--reason", "x", served=served)
    served.world.now += POLICY.times.quiet_after_dismissal
    await served.world.reports(10)
    ended = await fairuse("case", "case", served=served)
    assert ended.status == 2
    assert "2 cases begin with" in ended.err


async def test_what_the_controller_refuses_ends_with_status_1_and_its_reason(
    served: Served,
) -> None:
    case_id = await served.notified()
    refused = await fairuse("lift", case_id, "--reason", "x", served=served)
    assert (refused.status, refused.out) == (1, "")
    assert "no limit stands" in refused.err
    unknown = await fairuse("case", "zzz", served=served)
    assert unknown.status == 1
    assert '"zzz"' in unknown.err


@pytest.mark.parametrize(
    "words",
    [
        ["cases", "--state", "open"],
        ["lift", "c1"],
        ["hosts", "--limit", "0"],
        ["hosts", "--limit", "1001"],
        ["hosts", "--colour"],
        ["nonsense"],
        ["hosts", "--url", "ftp://controller"],
        ["hosts", "--url", "http://[::1"],
        ["hosts", "--token-file", "/nonexistent"],
        ["case", "", "--url", "http://127.0.0.1:1"],
    ],
)
async def test_a_wrong_command_ends_with_status_2_and_no_traceback(words: list[str]) -> None:
    ended = await fairuse(*words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err
    assert "Traceback" not in ended.err


async def test_an_absent_controller_ends_with_status_3_and_says_what_to_look_at() -> None:
    ended = await fairuse("hosts", "--json", "--url", "http://127.0.0.1:1")
    assert (ended.status, ended.out) == (3, "")
    assert "http://127.0.0.1:1" in ended.err
    assert "--url" in ended.err
    assert len(ended.err.splitlines()) <= 2


async def test_a_missing_or_too_small_token_ends_with_status_4(served: Served) -> None:
    nobody = await fairuse("hosts", "--url", served.url)
    assert nobody.status == 4
    assert "--token-file" in nobody.err
    viewer = await fairuse("pause", "--reason", "x", served=served, token=served.viewer)
    assert viewer.status == 4
    assert "operator" in viewer.err
    assert not served.world.desk.paused


async def test_a_token_never_travels_in_the_clear_to_another_host() -> None:
    ended = await fairuse("hosts", "--url", "http://192.0.2.1", FAIRUSE_TOKEN="secret")
    assert ended.status == 2
    assert "https" in ended.err
    assert "secret" not in ended.err


async def test_help_tells_the_exit_statuses() -> None:
    ended = await fairuse("--help")
    assert ended.status == 0
    for status in range(6):
        assert f"\n    {status}  " in ended.out


async def test_top_is_coloured_on_a_terminal_and_ends_quietly_with_ctrl_c(served: Served) -> None:
    await served.notified()
    shown, ended = await top_on_a_terminal(served)
    assert "\x1b[33mnotified" in shown
    assert (ended.status, ended.err) == (130, "")


async def test_no_color_is_honoured_on_a_terminal(served: Served) -> None:
    await served.notified()
    shown, _ = await top_on_a_terminal(served, NO_COLOR="1")
    assert "notified" in shown
    assert "\x1b[33m" not in shown


async def top_on_a_terminal(served: Served, **environment: str) -> tuple[str, Ended]:
    """What a person sees of `fairuse top` until Ctrl-C, and how it ends."""
    master, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fairuse_cli.main",
        "top",
        env={
            "PYTHONPATH": str(ROOT),
            "FAIRUSE_URL": served.url,
            "FAIRUSE_TOKEN": served.operator,
            "HOME": "/nonexistent",
            "TERM": "xterm",
            "PYTHONUTF8": "1",
            "COLUMNS": "80",
            "LINES": "24",
            **environment,
        },
        stdout=terminal,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_hear_ctrl_c,
    )
    os.close(terminal)
    try:
        shown = await asyncio.to_thread(_read_terminal, master, b"notified")
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(_read_terminal, master, None)
        _, err = await process.communicate()
    finally:
        os.close(master)
        if process.returncode is None:
            process.kill()
            await process.wait()
    return shown.decode(), Ended(process.returncode, "", err.decode())


def _hear_ctrl_c() -> None:
    """What a shell starts in the background ignores it, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _read_terminal(master: int, wanted: bytes | None) -> bytes:
    """What comes up to and with `wanted`, or up to the end of whoever writes."""
    shown = b""
    while wanted is None or wanted not in shown:
        try:
            shown += os.read(master, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            break
    return shown


async def test_the_command_line_needs_no_database_library() -> None:
    """Somebody who installed only the `cli` extra has neither SQLAlchemy nor the mail library."""
    code = (
        "import sys, fairuse_cli.main\n"
        "loaded = {'sqlalchemy', 'aiosqlite', 'alembic', 'aiosmtplib', 'PIL', 'aiohttp'}\n"
        "sys.exit(str(loaded & set(sys.modules)) if loaded & set(sys.modules) else 0)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
