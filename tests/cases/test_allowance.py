"""How far a limit goes: promise 4 as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cases.allowance import (
    Change,
    End,
    Keep,
    first_allowance,
    next_allowance,
    to_allowance,
)
from controller.cases.model import StandingLimit
from controller.fairshare.evidence import Sample
from controller.fairshare.policy import LimitTerms, Thresholds
from fairuse_protocol.messages import Allowance
from fairuse_protocol.units import Duration
from tests.fairshare.reports import cpu_report, disk_report, judged

TERMS = LimitTerms(step_every=Duration(20))
cores = st.floats(0.01, 64)


def standing(allowance: float, *, fair_share: float = 2.0, unlimited: float = 6.0) -> StandingLimit:
    return StandingLimit(
        order="o",
        allowance=allowance,
        fair_share=fair_share,
        unlimited_use=unlimited,
        ordered_at=0,
        changed_at=0,
        lease_until=900,
    )


def under_limit(
    *, waiting: float, utilisation: float = 1.0, fair_share: float = 2.0
) -> list[Sample]:
    return [
        Sample(
            ended_at=10.0 * (i + 1),
            seconds=10,
            used=3.0,
            fair_share=fair_share,
            capacity=8.0,
            host_waiting=0.5,
            utilisation=utilisation,
            neighbours=3,
            neighbours_harmed=3 if waiting else 0,
            neighbours_waiting=waiting,
            cause_share=1.0,
        )
        for i in range(3)
    ]


def decide(
    limit: StandingLimit, samples: list[Sample], *, now: float = 30.0
) -> Keep | Change | End:
    return next_allowance(limit, samples, TERMS, Thresholds(), waiting_before=0.5, now=now)


@given(cores, cores)
def test_a_limit_starts_with_headroom_over_the_fair_share(used: float, fair_share: float) -> None:
    assert first_allowance(used, fair_share, TERMS) >= fair_share * TERMS.headroom


@given(cores, cores, cores, st.floats(0, 1), st.floats(0, 1.2))
def test_no_step_ever_goes_under_the_fair_share_nor_over_what_was_used(
    allowance: float, fair_share: float, unlimited: float, waiting: float, utilisation: float
) -> None:
    limit = standing(allowance, fair_share=fair_share, unlimited=unlimited)
    samples = under_limit(waiting=waiting, utilisation=utilisation, fair_share=fair_share)
    outcome = decide(limit, samples)
    if isinstance(outcome, Change) and outcome.because == "still-harmed":
        assert outcome.allowance >= fair_share
        assert outcome.allowance < allowance
    if isinstance(outcome, Change) and outcome.because == "eased":
        assert allowance < outcome.allowance <= unlimited


def test_a_change_is_given_time_to_show_its_effect() -> None:
    assert decide(standing(3.0), under_limit(waiting=0.5), now=19.0) == Keep()
    assert decide(standing(3.0), [], now=100.0) == Keep()


def test_it_steps_down_while_neighbours_wait_and_eases_when_they_do_not() -> None:
    assert decide(standing(5.0), under_limit(waiting=0.5)) == Change(2.5, "still-harmed")
    assert decide(standing(3.0), under_limit(waiting=0.5)) == Change(2.0, "still-harmed")
    assert decide(standing(3.0), under_limit(waiting=0.0)) == Change(3.75, "eased")


def test_at_the_fair_share_it_stays_if_it_helps_and_ends_if_it_does_not() -> None:
    assert decide(standing(2.0), under_limit(waiting=0.3)) == Keep()
    assert decide(standing(2.0), under_limit(waiting=0.5)) == End("does-not-help")


def test_it_ends_when_the_host_has_room_for_what_was_used_before() -> None:
    roomy = under_limit(waiting=0.0, utilisation=0.5)
    assert decide(standing(3.0), roomy) == End("spare-capacity")


def test_a_disk_share_becomes_bytes_and_operations_as_far_as_they_are_known() -> None:
    read = {"hog": 180e6, "a": 20e6}
    known = judged(disk_report(10, read, waiting=0.5, capacity_known=True))
    assert to_allowance("disk", 0.25, known) == Allowance(bytes_per_second=50e6)
    unknown = to_allowance(
        "disk", 0.5, judged(disk_report(10, read, waiting=0.5, capacity_known=False))
    )
    assert unknown.bytes_per_second == pytest.approx(100e6)
    assert unknown.operations_per_second == pytest.approx(200e6 / 65536 / 2, rel=0.01)


def test_cpu_and_network_shares_are_told_in_their_own_unit() -> None:
    interval = judged(cpu_report(10, {"a": 1.0}))
    assert to_allowance("cpu", 1.5, interval) == Allowance(cores=1.5)
    assert to_allowance("net-out", 1e6, interval) == Allowance(bytes_per_second=1e6)
