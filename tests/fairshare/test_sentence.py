"""The sentence that a customer reads."""

from __future__ import annotations

import msgspec
import pytest

from controller.fairshare.sentence import amount, duration, sentence
from tests.fairshare.test_rule import steady, verdict_on


def test_the_sentence_tells_use_share_and_waiting_in_figures() -> None:
    verdict = msgspec.structs.replace(
        verdict_on("hog", steady()),
        window_seconds=1200,
        average_used=6.2,
        average_fair_share=1.5,
        ratio=4.1,
        neighbours_harmed=11,
        neighbours_waiting=0.23,
    )
    assert sentence(verdict) == (
        "Over the last 20 minutes your server used 6.2 of this machine's 8 CPU cores on average, "
        "4.1 times its fair share of 1.5, while 11 other customers' servers there waited for CPU "
        "23 % of the time."
    )


def test_one_neighbour_is_not_several() -> None:
    verdict = msgspec.structs.replace(verdict_on("hog", steady()), neighbours_harmed=1)
    assert "1 other customer's server there" in sentence(verdict)


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 1.0, "1 CPU core"),
        ("cpu", 0.667, "0.67 CPU cores"),
        ("net-out", 6.25e6, "50 Mbit/s"),
        ("disk", 0.625, "62 % of what the disks can do"),
    ],
)
def test_amounts_are_written_as_people_write_them(resource, value, text) -> None:  # type: ignore[no-untyped-def]  # table-driven
    assert amount(resource, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8, "8 seconds"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (1200, "20 minutes"),
        (86400, "1 day"),
    ],
)
def test_times_are_written_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
