"""Every letter, word for word and tag for tag, as it was read and approved.

Approve anew what you have read: APPROVE=1 pytest tests/contact/test_approved.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.contact.chart import NARROW, WIDE, Frame, lay_out
from controller.contact.chart_svg import draw_svg
from controller.contact.notice import zone_of
from controller.language.catalogue import languages
from fairuse_protocol.messages import RESOURCES, Resource
from tests.contact import samples
from tests.contact.letters import LETTERS, anna

APPROVED = Path(__file__).parent / "approved"
FRAMES: dict[str, Frame] = {"narrow": NARROW, "wide": WIDE}
ZONE = "Europe/Copenhagen"
EVERY_LETTER = [(name, code) for name in LETTERS for code in languages()]
EVERY_CHART = [
    (resource, code, frame) for resource in RESOURCES for code in languages() for frame in FRAMES
]


def compare(name: str, found: str) -> None:
    """With the example of that name, which APPROVE=1 writes instead."""
    path = APPROVED / name
    if os.environ.get("APPROVE"):
        path.write_text(found, encoding="utf-8")
        return
    assert path.exists(), f"{name}: nobody has approved it; see {Path(__file__).name}"
    assert found == path.read_text(encoding="utf-8"), (
        f"{name} reads otherwise than approved; see {Path(__file__).name}"
    )


@pytest.mark.parametrize(("name", "code"), EVERY_LETTER)
def test_each_letter_reads_as_the_approved_one(name: str, code: str) -> None:
    letter = LETTERS[name](anna(code, ZONE))
    compare(f"{name}.{code}.txt", f"Subject: {letter.subject}\n\n{letter.text}")
    compare(f"{name}.{code}.html", f"{letter.html}\n")


@pytest.mark.parametrize(("resource", "code", "frame"), EVERY_CHART)
def test_each_chart_is_the_approved_one(resource: Resource, code: str, frame: str) -> None:
    verdict = samples.verdict(resource, intervals=30, seconds=40.0)
    chart = lay_out(verdict, languages()[code], zone_of(anna(code, ZONE)), FRAMES[frame])
    compare(f"chart-{frame}-{resource}.{code}.svg", f"{draw_svg(chart)}\n")


def test_every_approved_example_is_compared_with_something() -> None:
    letters = {f"{name}.{code}.{end}" for name, code in EVERY_LETTER for end in ("txt", "html")}
    charts = {f"chart-{frame}-{resource}.{code}.svg" for resource, code, frame in EVERY_CHART}
    assert {path.name for path in APPROVED.iterdir()} == letters | charts
