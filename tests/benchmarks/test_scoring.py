from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.scoring import GRACE_SECONDS, Opened, add_up, mistakes, score
from controller.backtest.labels import NATURAL, Label
from fairuse_protocol.messages import Resource

HOUR = 3600
GUILTY = Label(10 * HOUR, 11 * HOUR, "h1", "hog", "cpu", "steady-cpu-hog", "1")
UNSURE = Label(20 * HOUR, 21 * HOUR, "h1", "hog", "cpu", NATURAL, "ambiguous")
CRON = Label(10 * HOUR, 14 * HOUR, "h1", "cron", "disk", "hourly-cron", "0")


def case(
    at: float,
    until: float = math.inf,
    *,
    tenant: str = "hog",
    resource: Resource = "cpu",
    host: str = "h1",
) -> Opened:
    return Opened(host, tenant, resource, at, until)


def test_a_case_in_a_true_stretch_finds_it_and_is_true() -> None:
    found = score([case(10.2 * HOUR)], [GUILTY], tenant_days=1.0)
    assert (found.precision, found.recall, found.true_cases, found.false_cases) == (1, 1, 1, 0)
    assert found.minutes_to_detect == pytest.approx(12)


def test_nothing_opened_is_precise_and_finds_nothing() -> None:
    found = score([], [GUILTY], tenant_days=1.0)
    assert (found.precision, found.recall, found.f1) == (1, 0, 0)


@pytest.mark.parametrize(
    "other", [{"tenant": "quiet"}, {"resource": "disk"}, {"host": "h2"}], ids=str
)
def test_who_else_or_what_else_is_opened_is_false_and_finds_nothing(other: dict[str, Any]) -> None:
    found = score([case(10.2 * HOUR, **other)], [GUILTY], tenant_days=1.0)
    assert (found.precision, found.recall, found.false_cases) == (0, 0, 1)


def test_the_grace_after_a_stretch_counts_and_no_more() -> None:
    end = GUILTY.end + GRACE_SECONDS
    late, too_late = score([case(end)], [GUILTY], 1.0), score([case(end + 1)], [GUILTY], 1.0)
    assert (late.recall, late.false_cases) == (1, 0)
    assert (too_late.recall, too_late.false_cases) == (0, 1)


def test_a_case_from_before_finds_a_stretch_at_once_but_was_false_when_it_opened() -> None:
    found = score([case(9 * HOUR)], [GUILTY], tenant_days=1.0)
    assert (found.recall, found.minutes_to_detect, found.false_cases) == (1, 0, 1)
    over_before = score([case(9 * HOUR, 10 * HOUR)], [GUILTY], tenant_days=1.0)
    assert over_before.recall == 0


def test_ambiguous_stretches_count_neither_way() -> None:
    found = score([case(20.5 * HOUR)], [UNSURE], tenant_days=1.0)
    assert (found.true_cases, found.false_cases, found.unjudged_cases) == (0, 0, 1)
    assert (found.recall, found.recall_of_natural) == (1, 1)


def test_a_false_case_is_put_down_to_the_innocent_episode_it_fell_on() -> None:
    found = score([case(11 * HOUR, tenant="cron", resource="disk")], [CRON], tenant_days=1.0)
    assert dict(found.false_kinds) == {"hourly-cron": 1}
    assert found.recall == 1, "there was nothing to find"


def test_innocent_days_leave_out_what_was_guilty() -> None:
    found = score([case(1.0), case(2.0, tenant="cron")], [GUILTY], tenant_days=4 + 1 / 24)
    assert found.innocent_tenant_days == pytest.approx(4)
    assert found.false_per_1000_days == pytest.approx(500)


def test_natural_stretches_have_a_recall_of_their_own() -> None:
    natural = Label(2 * HOUR, 3 * HOUR, "h1", "hog", "cpu", NATURAL, "1")
    found = score([case(10.5 * HOUR)], [GUILTY, natural], tenant_days=1.0)
    assert (found.recall, found.recall_of_natural) == (1, 0)
    assert found.recall_of("steady-cpu-hog") == 1


def test_scores_of_several_traces_add_up_by_count() -> None:
    good = score([case(10.5 * HOUR)], [GUILTY], tenant_days=10.0)
    bad = score([case(1.0, HOUR), case(2.0, HOUR)], [GUILTY], tenant_days=10.0)
    total = add_up([good, bad])
    assert total.precision == pytest.approx(1 / 3)
    assert total.recall == 0.5
    assert total.innocent_tenant_days == pytest.approx(20 - 2 / 24)


def test_mistakes_are_what_the_score_counts() -> None:
    cases = [case(10.5 * HOUR), case(1.0), case(11 * HOUR, tenant="cron", resource="disk")]
    missed_label = Label(30 * HOUR, 31 * HOUR, "h1", "other", "cpu", "slow-ramp", "1")
    false, missed = mistakes(cases, [GUILTY, CRON, missed_label])
    assert [one for one, _ in false] == cases[1:]
    assert missed == [missed_label]
    assert len(false) == score(cases, [GUILTY, CRON, missed_label], 1.0).false_cases
