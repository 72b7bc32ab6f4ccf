"""The rule: what one window says of one tenant, by the name of the outcome."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.fairshare.evidence import Sample, Verdict
from controller.fairshare.policy import NetworkThresholds, Rule, Severities, Thresholds
from controller.fairshare.rule import classify, decide, severity_of
from controller.fairshare.window import Window
from fairuse_protocol.reports import (
    Capacity,
    HostUsage,
    Report,
    TenantUsage,
    UplinkActivity,
)
from fairuse_protocol.units import Duration
from tests.fairshare.reports import (
    UPLINK_BYTES_PER_SECOND,
    cpu_report,
    disk_report,
    judged,
    network_report,
)

RULE = Rule(window=Duration(200))
HOG_AND_NEIGHBOURS = {"hog": 6.0, "a": 0.5, "b": 0.5, "c": 0.5}


def window_of(reports: list[Report], rule: Rule = RULE) -> Window:
    window = Window(rule)
    for report in reports:
        window.add(judged(report, rule))
    return window


def steady(count: int = 20, /, **figures: object) -> list[Report]:
    used = figures.pop("used", HOG_AND_NEIGHBOURS)
    return [cpu_report(10.0 * (i + 1), used, **figures) for i in range(count)]  # type: ignore[arg-type]  # passed through


def verdict_on(tenant: str, reports: list[Report], now: float = 200.0) -> Verdict:
    return window_of(reports).verdict("cpu", tenant, now=now)


def test_a_tenant_far_over_its_share_while_neighbours_wait_is_disproportionate() -> None:
    verdict = verdict_on("hog", steady())
    assert verdict.outcome == "disproportionate"
    assert verdict.average_used == pytest.approx(6.0)
    assert verdict.average_fair_share == pytest.approx(2.0)
    assert verdict.ratio == pytest.approx(3.0)
    assert verdict.neighbours_harmed == 3
    assert verdict.neighbours_waiting == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("figures", "outcome"),
    [
        pytest.param({"waiting": 0.05}, "nobody-harmed", id="no neighbour waits long"),
        pytest.param(
            {"host_waiting": 0.05, "used": {**HOG_AND_NEIGHBOURS, "hog": 5.0}},
            "not-contended",
            id="the host has room and no pressure",
        ),
        pytest.param(
            {"used": {"hog": 3.9, "a": 1.4, "b": 1.4, "c": 1.3}},
            "within-share",
            id="under the ratio",
        ),
        pytest.param(
            {"used": {"hog": 4.1, "other": 3.8, "a": 0.05, "b": 0.05}},
            "disproportionate",
            id="more than half of all that is over",
        ),
        pytest.param({"waiting": {"hog": 0.9}}, "nobody-harmed", id="only the tenant itself waits"),
    ],
)
def test_each_limb_that_does_not_hold_names_the_outcome(
    figures: dict[str, object], outcome: str
) -> None:
    assert verdict_on("hog", steady(**figures)).outcome == outcome


def test_much_the_lesser_of_two_heavy_tenants_is_not_the_cause() -> None:
    few = dict.fromkeys("abcdefgh", 0.05)
    reports = steady(used={"big": 5.5, "hog": 2.0, **few})
    assert verdict_on("hog", reports).outcome == "not-the-cause"
    assert verdict_on("big", reports).outcome == "disproportionate"


def test_of_two_equally_heavy_tenants_neither_hides_behind_the_other() -> None:
    few = dict.fromkeys("abcdefgh", 0.05)
    reports = steady(used={"one": 3.9, "other": 3.7, **few})
    assert verdict_on("one", reports).outcome == "disproportionate"
    assert verdict_on("other", reports).outcome == "disproportionate"
    assert verdict_on("one", reports).causes == 2


def test_a_small_share_of_the_host_is_nobodys_problem_whatever_its_ratio() -> None:
    many = {f"t{i}": 0.16 for i in range(40)}
    verdict = verdict_on("hog", steady(used={"hog": 0.75, **many}))
    assert verdict.ratio > 3
    assert verdict.outcome == "within-share"


def test_a_short_burst_is_not_sustained() -> None:
    quiet = {**HOG_AND_NEIGHBOURS, "hog": 0.5}
    reports = steady(16, used=quiet) + [
        cpu_report(10.0 * (i + 1), HOG_AND_NEIGHBOURS) for i in range(16, 20)
    ]
    assert verdict_on("hog", reports).outcome == "not-sustained"


def test_missing_intervals_are_neither_use_nor_rest() -> None:
    with_gap = [report for i, report in enumerate(steady()) if i % 2 == 0]
    verdict = verdict_on("hog", with_gap)
    assert verdict.outcome == "disproportionate"
    assert verdict.average_used == pytest.approx(6.0)
    assert verdict.measured_seconds == pytest.approx(100.0)


def test_a_window_that_is_hardly_measured_says_nothing() -> None:
    assert verdict_on("hog", steady(9)).outcome == "not-measured"
    assert verdict_on("nobody", steady()).outcome == "not-measured"


def test_intervals_of_different_length_weigh_by_their_length() -> None:
    long_calm = cpu_report(160.0, {**HOG_AND_NEIGHBOURS, "hog": 1.0}, seconds=160.0)
    short_busy = [cpu_report(160.0 + i + 1, HOG_AND_NEIGHBOURS, seconds=1.0) for i in range(40)]
    verdict = verdict_on("hog", [long_calm, *short_busy])
    assert verdict.outcome == "not-sustained"
    assert verdict.average_used == pytest.approx((160 * 1.0 + 40 * 6.0) / 200)


def test_a_neighbour_held_back_by_its_own_quota_is_not_harmed() -> None:
    own_quota = {"a": 0.3, "b": 0.3, "c": 0.3}
    assert verdict_on("hog", steady(throttled=own_quota)).outcome == "nobody-harmed"


def test_a_neighbour_that_gets_nothing_at_all_is_harmed_most() -> None:
    starved = {"hog": 8.0, "a": 0.0, "b": 0.0, "c": 0.0}
    verdict = verdict_on("hog", steady(used=starved, waiting=1.0))
    assert verdict.outcome == "disproportionate"
    assert verdict.neighbours_harmed == 3


def test_what_was_bought_counts_as_entitlement() -> None:
    big_plan = {"hog": 24.0, "a": 1.0, "b": 1.0, "c": 1.0}
    assert verdict_on("hog", steady(weights=big_plan)).outcome == "within-share"


def test_a_tenant_that_left_is_not_judged_on_what_it_was() -> None:
    gone = {tenant: used for tenant, used in HOG_AND_NEIGHBOURS.items() if tenant != "hog"}
    reports = steady(5) + [cpu_report(10.0 * (i + 1), gone) for i in range(5, 20)]
    assert verdict_on("hog", reports).outcome == "not-measured"


def test_the_networks_queue_stands_for_its_tenants_waiting() -> None:
    rule = Rule(window=Duration(100))
    sent = {"hog": 0.9 * UPLINK_BYTES_PER_SECOND, "a": 2e6, "b": 2e6, "idle": 0.0}

    def verdict(delayed: float) -> Verdict:
        reports = [
            network_report(10.0 * (i + 1), sent, delayed=delayed, seconds=10) for i in range(10)
        ]
        return window_of(reports, rule).verdict("net-out", "hog", now=100.0)

    assert verdict(0.3).outcome == "disproportionate"
    assert verdict(0.3).neighbours_harmed == 2, "a tenant that sends nothing waits for nothing"
    assert verdict(0.0).outcome == "nobody-harmed"


@pytest.mark.parametrize("capacity_known", [True, False])
def test_disks_are_judged_with_and_without_known_capacity(capacity_known: bool) -> None:
    rule = Rule(window=Duration(100))
    read = {"hog": 180e6, "a": 5e6, "b": 5e6}
    reports = [
        disk_report(
            10.0 * (i + 1),
            read,
            waiting=0.5,
            capacity_known=capacity_known,
            operations_per_second=10_000 if capacity_known else None,
        )
        for i in range(10)
    ]
    verdict = window_of(reports, rule).verdict("disk", "hog", now=100.0)
    assert verdict.outcome == "disproportionate"
    expected = 180 / 200 if capacity_known else 180 / 190
    assert verdict.average_used == pytest.approx(expected, rel=0.01)


def test_replaying_the_evidence_gives_the_same_verdict() -> None:
    verdict = verdict_on("hog", steady())
    stored = msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict)
    assert decide(stored.samples, "cpu", RULE, now=stored.decided_at) == verdict


def test_severity_needs_both_many_neighbours_and_long_waiting() -> None:
    def severity(harmed: int, waiting: float) -> str:
        verdict = msgspec.structs.replace(
            verdict_on("hog", steady()),
            neighbours=10,
            neighbours_harmed=harmed,
            neighbours_waiting=waiting,
        )
        return severity_of(verdict, Severities())

    assert severity(1, 0.9) == "low"
    assert severity(3, 0.3) == "high"
    assert severity(6, 0.5) == "critical"
    assert severity(10, 0.1) == "low"


shares = st.floats(0, 1)
samples = st.builds(
    Sample,
    ended_at=st.floats(1, 200),
    seconds=st.floats(0.5, 30),
    used=st.floats(0, 8),
    fair_share=st.floats(0.1, 8),
    capacity=st.just(8.0),
    host_waiting=st.none() | shares,
    utilisation=st.floats(0, 1.2),
    neighbours=st.just(10),
    neighbours_harmed=st.integers(0, 10),
    neighbours_waiting=shares,
    cause_share=shares,
)


@given(st.lists(samples, min_size=1, max_size=30), st.randoms())
def test_the_verdict_does_not_depend_on_the_order_of_samples(
    given_samples: list[Sample], shuffler: random.Random
) -> None:
    shuffled = given_samples[:]
    shuffler.shuffle(shuffled)
    one = decide(given_samples, "cpu", RULE, now=200.0)
    other = decide(shuffled, "cpu", RULE, now=200.0)
    assert one.outcome == other.outcome
    assert one.average_used == pytest.approx(other.average_used)


@given(samples)
def test_promise_7_nobody_counts_while_no_neighbour_waits_or_within_its_share(
    sample: Sample,
) -> None:
    calm = msgspec.structs.replace(sample, neighbours_harmed=0, neighbours_waiting=0.0)
    assert classify(calm, RULE, Thresholds()) != "disproportionate"
    modest = msgspec.structs.replace(sample, used=sample.fair_share * 0.99)
    assert classify(modest, RULE, Thresholds()) != "disproportionate"


tenant_cores = st.dictionaries(
    st.sampled_from(["t1", "t2", "t3", "t4", "t5"]), st.floats(0, 8), min_size=2
)


@given(tenant_cores, st.floats(0, 1), st.randoms())
def test_the_finding_does_not_depend_on_the_order_of_tenants(
    used: dict[str, float], waiting: float, shuffler: random.Random
) -> None:
    names = list(used)
    shuffler.shuffle(names)
    one = judged(cpu_report(10, used, waiting=waiting), RULE)
    other = judged(cpu_report(10, {n: used[n] for n in names}, waiting=waiting), RULE)
    assert one.counting == other.counting


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_the_window_counts_the_same_as_all_its_samples(busy: list[bool]) -> None:
    window = Window(RULE)
    for index, is_busy in enumerate(busy):
        used = HOG_AND_NEIGHBOURS if is_busy else {**HOG_AND_NEIGHBOURS, "hog": 0.5}
        ended_at = 10.0 * (index + 1)
        window.add(judged(cpu_report(ended_at, used), RULE))
        window.forget_before(ended_at)
    now = 10.0 * len(busy)
    verdict = window.verdict("cpu", "hog", now=now)
    if verdict.outcome == "disproportionate":
        assert ("cpu", "hog") in window.suspects()
    assert math.isclose(verdict.counted_seconds, 10.0 * sum(busy[-20:]), abs_tol=1e-6)


def test_a_report_that_comes_twice_or_late_changes_nothing() -> None:
    reports = steady()
    late = [*reports[:7], *reports[8:], reports[7], reports[3]]
    assert window_of(late).verdict("cpu", "hog", now=200.0) == verdict_on("hog", reports)


LIMBS: dict[str, dict[str, object]] = {
    "over and harmful": {"used": HOG_AND_NEIGHBOURS},
    "harmful only": {"used": {"hog": 3.5, "a": 1.5, "b": 1.5, "c": 1.5}},
    "over only": {"used": HOG_AND_NEIGHBOURS, "waiting": 0.0},
    "neither": {"used": {"hog": 3.5, "a": 1.5, "b": 1.5, "c": 1.5}, "waiting": 0.0},
}


@pytest.mark.parametrize(
    ("requires", "disproportionate"),
    [
        ("both", {"over and harmful"}),
        ("interference", {"over and harmful", "harmful only"}),
        ("share", {"over and harmful", "over only"}),
        ("either", {"over and harmful", "harmful only", "over only"}),
    ],
)
def test_secure_packet_1_11_each_limb_singly_and_together(
    requires: str, disproportionate: set[str]
) -> None:
    rule = msgspec.structs.replace(RULE, requires=requires)
    found = {
        limbs
        for limbs, figures in LIMBS.items()
        if window_of(steady(**figures), rule).verdict("cpu", "hog", now=200.0).outcome
        == "disproportionate"
    }
    assert found == disproportionate


def test_clever_cloud_2_1_risk_counts_before_anyone_is_harmed() -> None:
    rule = Rule(
        window=Duration(100), requires="share", net_out=NetworkThresholds(contended_utilisation=0.8)
    )
    sent = {"hog": 0.75 * UPLINK_BYTES_PER_SECOND, "a": 4e6, "b": 4e6}
    reports = [network_report(10.0 * (i + 1), sent, delayed=0.0, seconds=10) for i in range(10)]
    verdict = window_of(reports, rule).verdict("net-out", "hog", now=100.0)
    assert verdict.outcome == "disproportionate"
    assert verdict.neighbours_harmed == 0
    assert verdict.utilisation == pytest.approx(0.814, abs=0.001)


def test_clever_cloud_2_1_packets_count_where_they_fill_the_host_before_bytes_do() -> None:
    rule = Rule(window=Duration(100))

    def verdict(packets_known: float | None) -> Verdict:
        reports = [
            small_packets(10.0 * (i + 1), {"hog": 950_000, "a": 20_000, "b": 20_000}, packets_known)
            for i in range(10)
        ]
        return window_of(reports, rule).verdict("net-in", "hog", now=100.0)

    assert verdict(None).outcome == "not-contended"
    flood = verdict(1_000_000)
    assert flood.outcome == "disproportionate"
    assert flood.average_used / flood.capacity == pytest.approx(0.95)


def small_packets(ended_at: float, received: dict[str, int], packets_known: float | None) -> Report:
    """Packets of 64 bytes each, by tenant and second, a tenth of which the uplink dropped."""
    total = sum(received.values()) * 10
    return Report(
        host="h1",
        spool="s",
        sequence=0,
        started_at=ended_at - 10,
        seconds=10,
        usage=HostUsage(
            capacity=Capacity(
                cpu_cores=8,
                net_in_bytes_per_second=UPLINK_BYTES_PER_SECOND,
                net_in_packets_per_second=packets_known,
            ),
            cpu_busy_seconds=0,
            uplinks=(
                UplinkActivity(
                    interface="up",
                    in_bytes=total * 64,
                    in_packets=total,
                    in_dropped_packets=total // 10,
                ),
            ),
        ),
        tenants=tuple(
            TenantUsage(tenant=tenant, net_in_bytes=count * 640, net_in_packets=count * 10)
            for tenant, count in received.items()
        ),
    )
