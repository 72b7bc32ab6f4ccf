"""Agreements from the command line, against the real server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from fairuse_cli import figures
from fairuse_cli.failures import CommandFailed
from fairuse_cli.moments import moment, share
from tests.cli.served import Served, serve
from tests.cli.test_commands import fairuse

WITH = ["--until", "2100-01-01", "--with", "Hanne Hog"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as served:
        yield served


async def test_an_agreement_is_made_seen_on_the_case_and_withdrawn(served: Served) -> None:
    case_id = await served.notified()
    made = await fairuse(
        "agree", "hog", "--share", "30%", "--resource", "cpu", *WITH, served=served
    )
    assert (made.status, made.err) == (0, "")
    assert "up to 30 % of cpu" in made.out
    listed = await fairuse("agreements", served=served)
    assert max(map(len, listed.out.splitlines())) <= 80
    for shown in ("hog", "up to 30 %", "Hanne Hog", "in-force", "2100-01-01"):
        assert shown in listed.out
    assert "Hanne Hog" in (await fairuse("case", case_id, served=served)).out
    agreement_id = made.out.split()[1]
    gone = await fairuse("withdraw", agreement_id, "--reason", "unpaid", served=served)
    assert gone.out == f"Agreement {agreement_id} with hog is withdrawn.\n"
    assert "Hanne Hog" not in (await fairuse("case", case_id, served=served)).out


async def test_a_consent_is_for_a_load_test_of_two_weeks_at_most(served: Served) -> None:
    served.world.now = datetime.now().timestamp()  # noqa: DTZ005 - only its timestamp is used
    made = await fairuse(
        "consent", "hog", "--until", "2h", "--with", "Hanne", "--json", served=served
    )
    assert made.document["agreement"]["kind"] == "test"
    assert made.document["agreement"]["resource"] == ""
    long = await fairuse("consent", "hog", "--until", "15d", "--with", "Hanne", served=served)
    assert long.status == 1
    assert "at most 14 days" in long.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--share or --exempt"),
        (["--share", "30%", "--exempt"], "--share or --exempt"),
        (["--share", "0.3"], "--share: expected a percentage"),
        (["--exempt", "--from", "yesterday"], "--from: expected a time"),
    ],
)
async def test_words_that_make_no_sense_are_refused(words: list[str], expected: str) -> None:
    ended = await fairuse("agree", "hog", *WITH, *words)
    assert ended.status == 2
    assert expected in ended.err


def test_times_are_typed_as_dates_or_as_lengths_from_now() -> None:
    assert moment("--until", "1h 30m", now=100.0) == 5500.0
    assert moment("--until", "2026-11-01T14:00+00:00", now=0.0) == 1_793_541_600.0
    assert moment("--until", "2026-11-01T15:00+01:00", now=0.0) == 1_793_541_600.0
    with pytest.raises(CommandFailed, match="--until"):
        moment("--until", "20", now=0.0)
    with pytest.raises(CommandFailed, match="such as 2099-12-31"):
        moment("--until", "9999-12-31", now=0.0)


def test_times_are_typed_and_shown_in_utc_wherever_the_operator_sits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        at = moment("--until", "2026-11-01 14:00", now=0.0)
        shown = figures.clock(at, at), figures.clock(at, 0.0)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert at == 1_793_541_600.0
    assert shown == ("14:00:00 UTC", "2026-11-01 14:00 UTC")


def test_shares_are_typed_as_percentages() -> None:
    assert share("--share", "50%") == 0.5
    assert share("--share", "12.5 %") == 0.125
    for wrong in ("50", "%", "50%%", "half"):
        with pytest.raises(CommandFailed, match="--share"):
            share("--share", wrong)
    for wrong in ("500%", "0%", "-1%", "nan%"):
        with pytest.raises(CommandFailed, match="more than 0% and at most 100% of the host"):
            share("--share", wrong)
