from __future__ import annotations

import io

import pytest

from fairuse_cli.demo.narrator import Narrator, percent
from fairuse_cli.demo.stage import TENANTS, StageKind, Use

USE = Use(seconds=5, cores=1.5, waiting=0.4, net_out=1e6, net_in=0, goodput=1e6)


def told(kind: StageKind) -> str:
    out = io.StringIO()
    narrator = Narrator(kind, out)
    narrator.title("Title", "beside")
    narrator.step(1, 11, "quiet")
    narrator.say("A sentence that goes on. " * 12)
    narrator.uses(dict.fromkeys(TENANTS, USE), fair_cores=0.7, fair_rate=1e6)
    narrator.lines("kernel now", ["x" * 400, "[not markup]"])
    with narrator.waiting("for something") as update:
        update("still")
    narrator.failed({"step": "quiet", "expected": "a", "seen": "b\nc"}, "/somewhere")
    narrator.serving({"page": "here"})
    return out.getvalue()


def test_every_line_of_a_simulated_story_says_so_whatever_is_printed() -> None:
    lines = told("simulated").splitlines()
    assert len(lines) > 15
    assert [line for line in lines if not line.startswith("simulated ")] == []


@pytest.mark.parametrize("kind", ["real", "simulated"])
def test_nothing_is_wider_than_the_screen_and_nothing_is_taken_for_markup(kind: StageKind) -> None:
    text = told(kind)
    assert max(map(len, text.splitlines())) <= 96
    assert "[not markup]" in text


def test_small_shares_keep_a_digit() -> None:
    assert percent(0.034) == "3.4 %"
    assert percent(0.34) == "34 %"


def test_what_is_to_be_copied_is_never_broken_into_lines() -> None:
    out = io.StringIO()
    link = "http://127.0.0.1:8460/c/" + "x" * 200
    Narrator("simulated", out).serving({"customer's page": link})
    assert link in out.getvalue()
