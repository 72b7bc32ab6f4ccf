from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from controller.contact.chart import NARROW, WIDE, Frame, lay_out, thinned
from controller.contact.chart_png import draw_png
from controller.contact.chart_svg import draw_svg
from controller.fairshare.evidence import Sample
from controller.language.catalogue import Language, languages
from fairuse_protocol.messages import RESOURCES, Resource
from tests.contact import samples

SVG = "{http://www.w3.org/2000/svg}"


def sample(ended_at: float, **changes: float) -> Sample:
    fields: dict[str, Any] = {
        "seconds": 10.0,
        "used": 1.0,
        "fair_share": 1.5,
        "capacity": 8.0,
        "utilisation": 0.5,
        "neighbours_waiting": 0.0,
        "cause_share": 0.0,
        **changes,
    }
    harmed = int(fields.pop("harmed", 0))
    return Sample(
        ended_at=ended_at, host_waiting=None, neighbours=3, neighbours_harmed=harmed, **fields
    )


amounts = st.floats(0, 1e10, allow_nan=False)


@given(
    resource=st.sampled_from(RESOURCES),
    used=st.lists(st.tuples(amounts, amounts, st.integers(0, 3), st.booleans()), max_size=60),
    capacity=st.floats(1e-3, 1e10),
    seconds=st.sampled_from([1.0, 10.0, 60.0]),
    frame=st.sampled_from([WIDE, NARROW]),
)
@settings(max_examples=60)
def test_whatever_was_measured_stays_inside_the_picture(
    resource: Resource,
    used: list[tuple[float, float, int, bool]],
    capacity: float,
    seconds: float,
    frame: Frame,
) -> None:
    measured = tuple(
        sample(
            samples.NOW - (len(used) - n) * seconds,
            seconds=seconds,
            used=amount,
            fair_share=share,
            harmed=harmed,
            neighbours_waiting=harmed / 3,
        )
        for n, (amount, share, harmed, present) in enumerate(used)
        if present
    )
    chart = lay_out(
        samples.verdict(
            resource,
            intervals=60,
            seconds=seconds,
            samples=measured,
            capacity=capacity,
        ),
        frame=frame,
    )
    points = [point for run in (*chart.usage, *chart.fair_share) for point in run]
    assert all(frame.left <= x <= frame.right and frame.top <= y <= frame.bottom for x, y in points)
    waiting = [point for run in chart.waiting for point in run]
    assert all(frame.left <= x <= frame.right for x, _ in waiting)
    assert all(frame.waiting_top <= y <= frame.waiting_bottom for _, y in waiting)
    assert all(frame.left <= left < right <= frame.right for left, right in chart.waited)
    assert frame.top <= chart.capacity_y <= frame.bottom
    assert all(0 <= tick.at <= frame.width for tick in chart.x_ticks)
    assert 2 <= len(chart.y_ticks) <= 8
    assert len(chart.x_ticks) <= 7


def test_a_gap_in_the_measurements_is_a_gap_in_the_line() -> None:
    now = samples.NOW
    chart = lay_out(
        samples.verdict(samples=(sample(now - 40), sample(now - 30), sample(now - 10), sample(now)))
    )
    assert [len(run) for run in chart.usage] == [4, 4]


def test_only_the_time_in_which_neighbours_waited_is_shaded() -> None:
    now = samples.NOW
    measured = tuple(
        sample(now - back, harmed=harmed) for back, harmed in ((30, 0), (20, 2), (10, 1), (0, 0))
    )
    chart = lay_out(samples.verdict(intervals=4, samples=measured))
    ((left, right),) = chart.waited
    assert left == pytest.approx(WIDE.left + (WIDE.right - WIDE.left) / 4, abs=0.1)
    assert right == pytest.approx(WIDE.left + (WIDE.right - WIDE.left) * 3 / 4, abs=0.1)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(1, 20)), min_size=1, max_size=300),
    st.integers(1, 50),
)
def test_thinning_keeps_the_average(figures: list[tuple[float, float]], most: int) -> None:
    at, many = samples.NOW, []
    for used, seconds in figures:
        at += seconds
        many.append(sample(at, used=used, seconds=seconds))
    few = thinned(many, most)
    total = sum(each.used * each.seconds for each in many)
    assert sum(each.used * each.seconds for each in few) == pytest.approx(total, abs=1e-6)
    assert sum(each.seconds for each in few) == pytest.approx(sum(s for _, s in figures))
    assert len(few) <= most


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_page_gets_an_accessible_picture_without_scripts_or_styles(resource: Resource) -> None:
    chart = lay_out(samples.verdict(resource))
    root = ElementTree.fromstring(draw_svg(chart, element_id="one"))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "one-title one-description"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert title.text == "Use over time, 13:40 to 14:00 UTC"
    assert description is not None
    assert "Its fair share is" in (description.text or "")
    assert all(element.get("style") is None for element in root.iter())
    labels = [element.text for element in root.iter(f"{SVG}text")]
    assert chart.axis_title in labels


@pytest.mark.parametrize(
    ("resource", "axis"),
    [
        ("cpu", "CPU cores"),
        ("disk", "% of what the disks can do"),
        ("net-in", "Gbit/s incoming"),
        ("net-out", "Gbit/s outgoing"),
    ],
)
def test_the_axis_names_its_unit(resource: Resource, axis: str) -> None:
    assert lay_out(samples.verdict(resource)).axis_title == axis


def test_the_mail_gets_a_small_sharp_picture_with_the_lines_in_it() -> None:
    picture = draw_png(lay_out(samples.verdict(), frame=NARROW))
    assert len(picture) < 60_000
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    assert image.width == 3 * NARROW.width
    assert image.height > 3 * NARROW.height
    colours = {colour for _, colour in image.getcolors(100_000) or ()}
    for line in ((0x1D, 0x4E, 0xD8), (0x15, 0x80, 0x3D), (0xFE, 0xF0, 0xCD), (0xF2, 0xA9, 0x3B)):
        assert any(
            all(abs(a - b) < 12 for a, b in zip(line, colour, strict=True))  # type: ignore[arg-type]  # getcolors is typed for all modes
            for colour in colours
        )


def test_a_verdict_without_samples_still_has_a_picture() -> None:
    chart = lay_out(samples.verdict(samples=()))
    assert chart.usage == ()
    assert draw_png(chart).startswith(b"\x89PNG")
    assert draw_svg(chart).startswith("<svg")


def test_a_danish_picture_is_danish_throughout() -> None:
    chart = lay_out(samples.verdict("net-out"), languages()["da"])
    assert chart.axis_title == "Gbit/s udgående"
    assert chart.time_title == "tid, UTC"
    assert "0,25" in [tick.label for tick in chart.y_ticks]
    assert "13.45" in [tick.label for tick in chart.x_ticks]
    assert chart.title == "Forbrug over tid, kl. 13.40 til 14.00 UTC"
    assert chart.description.startswith("Din server brugte 775 Mbit/s i gennemsnit og højst")
    days = lay_out(samples.verdict(intervals=240, seconds=3600.0), languages()["da"])
    assert "20. nov." in [tick.label for tick in days.x_ticks]
    assert draw_png(chart).startswith(b"\x89PNG")


def test_how_much_neighbours_waited_is_drawn_below_on_the_same_time() -> None:
    now = samples.NOW
    measured = (
        sample(now - 10, harmed=0, neighbours_waiting=0.0),
        sample(now, harmed=2, neighbours_waiting=0.25),
    )
    chart = lay_out(samples.verdict(intervals=2, samples=measured))
    ((_, start), (middle, still_none), (from_here, waiting), (end, _)) = chart.waiting[0]
    assert start == still_none == WIDE.waiting_bottom
    assert middle == from_here == pytest.approx((WIDE.left + WIDE.right) / 2)
    assert end == WIDE.right
    assert waiting == pytest.approx((WIDE.waiting_bottom + WIDE.waiting_top) / 2)
    assert [tick.label for tick in chart.waiting_ticks] == ["0", "25", "50"]


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("language", languages().values(), ids=languages())
def test_the_words_fit_into_the_mails_picture(resource: Resource, language: Language) -> None:
    chart = lay_out(samples.verdict(resource), language, frame=NARROW)
    font = ImageFont.load_default(13)
    legend = (chart.usage_label, chart.fair_share_label, chart.capacity_label, chart.waited_label)
    for left, text in [
        (12, chart.axis_title),
        (12, chart.waiting_title),
        *((44, t) for t in legend),
    ]:
        assert left + font.getlength(text) <= NARROW.width, text
    last = chart.x_ticks[-1]
    assert last.at + font.getlength(last.label) / 2 <= NARROW.width


def test_times_are_those_of_the_readers_zone() -> None:
    chart = lay_out(samples.verdict(), zone=ZoneInfo("Europe/Copenhagen"))
    assert chart.time_title == "time, CET"
    assert [tick.label for tick in chart.x_ticks] == ["14:40", "14:45", "14:50", "14:55", "15:00"]
    assert chart.title == "Use over time, 14:40 to 15:00 CET"
