"""When a host is short: full use, or pressure where it delivers as much as it ever did."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.fairshare.evidence import Verdict
from controller.fairshare.figures import gather
from controller.fairshare.interval import judge
from controller.fairshare.measured import measure
from controller.fairshare.peaks import follow, no_peaks
from controller.fairshare.policy import Rule
from controller.fairshare.window import Window
from fairuse_protocol.units import Duration
from tests.fairshare.reports import cpu_report, disk_report
from tests.fairshare.test_rule import HOG_AND_NEIGHBOURS, steady, verdict_on


def test_waiting_on_a_host_that_has_room_has_another_cause() -> None:
    roomy = {"hog": 3.0, "a": 0.3, "b": 0.3, "c": 0.3}
    assert verdict_on("hog", steady(used=roomy)).outcome == "not-contended"


def test_pressure_counts_only_where_the_host_delivers_about_as_much_as_it_ever_did() -> None:
    read = {"hog": 90e6, "a": 5e6, "b": 5e6}
    rule = Rule(window=Duration(100))

    def verdict(most: float) -> Verdict:
        window = Window(rule)
        for i in range(10):
            report = disk_report(10.0 * (i + 1), read, waiting=0.5, capacity_known=False)
            figures = gather(report)
            peaks = figures.delivered_rates[:, None] * most
            window.add(judge(measure([figures], peaks), rule)[0])
        return window.verdict("disk", "hog", now=100.0)

    assert verdict(1.0).outcome == "disproportionate"
    assert verdict(1.5).outcome == "not-contended"


def test_a_host_that_delivers_more_than_is_recorded_can_do_that_much() -> None:
    reports = [cpu_report(10.0 * (i + 1), HOG_AND_NEIGHBOURS) for i in range(20)]
    doubled = [
        msgspec.structs.replace(
            report, usage=msgspec.structs.replace(report.usage, cpu_busy_seconds=160.0)
        )
        for report in reports
    ]
    assert verdict_on("hog", doubled).average_fair_share == pytest.approx(4.0)


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=20), st.integers(1, 19))
def test_peaks_do_not_depend_on_how_intervals_were_batched(
    delivered: list[float], cut: int
) -> None:
    amounts = np.tile(np.array(delivered), (5, 1))
    ended_at = np.arange(len(delivered), dtype=np.float64) * 60.0
    whole, last = follow(no_peaks(0.0), amounts, ended_at)
    cut = min(cut, len(delivered) - 1)
    first, between = follow(no_peaks(0.0), amounts[:, :cut], ended_at[:cut])
    rest, end = follow(between, amounts[:, cut:], ended_at[cut:])
    assert np.allclose(np.hstack([first, rest]), whole)
    assert np.allclose(end.amounts, last.amounts)
