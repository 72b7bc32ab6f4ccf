"""Reports of one moment are judged in one table, and no otherwise than each by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cases.agreements import AgreementBook
from controller.cases.judging import JUDGED_TOGETHER, Judging, Seen
from controller.cases.policies import OnePolicy
from controller.fairshare.agreement import AgreementTerms
from controller.fairshare.interval import Interval
from controller.fairshare.policy import Policy
from controller.storage.database import Database
from fairuse_protocol.reports import Report
from tests.databases import database_in
from tests.fairshare.reports import cpu_report, disk_report

NOW = 1_000_000.0
BUSY = {"hog": 6.0, "a": 0.5, "b": 0.5, "c": 0.5}


@pytest.fixture
async def agreements(tmp_path: Path) -> AsyncIterator[AgreementBook]:
    database = await Database.open(database_in(tmp_path))
    yield AgreementBook(database, lambda: NOW)
    await database.close()


def interval_of(seen: Seen) -> Interval:
    ((_, interval),) = seen.intervals
    return interval


def said(interval: Interval) -> str:
    """All that the rule has to say of an interval, to be compared."""
    samples = [
        interval.sample(resource, index)
        for resource in ("cpu", "disk", "net-in", "net-out")
        for index in range(len(interval.tenants))
    ]
    return repr((interval.tenants, sorted(interval.counting), samples))


_USES = st.dictionaries(
    st.sampled_from("abcdef"), st.floats(0, 8).filter(lambda cores: cores == 0 or cores > 1e-3)
)


@given(st.lists(st.tuples(_USES, st.floats(0, 1), st.sampled_from([1.0, 10.0, 60.0])), max_size=6))
def test_a_moments_reports_are_judged_as_each_would_be_alone(
    hosts: list[tuple[dict[str, float], float, float]],
) -> None:
    book = AgreementBook(None, lambda: NOW)  # type: ignore[arg-type]  # records nothing here
    reports = [
        cpu_report(NOW, used, waiting=0.3, host_waiting=wait, seconds=seconds, host=f"h{number}")
        for number, (used, wait, seconds) in enumerate(hosts)
    ]
    together, alone = Judging(OnePolicy(Policy()), book), Judging(OnePolicy(Policy()), book)
    seen = [together.see(report) for report in reports]
    for each, report in zip(seen, reports, strict=True):
        together.take(each)
        by_itself = alone.see(report)
        alone.take(by_itself)
        assert said(interval_of(each)) == said(interval_of(by_itself))


def test_two_reports_of_one_host_are_judged_one_after_the_other(agreements: AgreementBook) -> None:
    """The second is measured by what the first delivered."""
    judging = Judging(OnePolicy(Policy()), agreements)
    reports = [
        disk_report(NOW + at, {"a": rate}, waiting=0.5, capacity_known=False)
        for at, rate in ((10.0, 100e6), (20.0, 50e6))
    ]
    first, second = [judging.see(report) for report in reports]
    judging.take(first)
    judging.take(second)
    assert [interval_of(seen).near_peak[1] for seen in (first, second)] == pytest.approx(
        [1, 0.5], rel=1e-4
    ), "what the first delivered has hardly faded"


async def test_an_agreement_changes_its_own_host_only(agreements: AgreementBook) -> None:
    terms = AgreementTerms(
        tenant="hog", kind="exempt", host="h1", ends_at=NOW + 1000, agreed_with="Hanne Hog"
    )
    await agreements.record(terms, by="otto")
    judging = Judging(OnePolicy(Policy()), agreements)
    seen = [judging.see(cpu_report(NOW + 10, BUSY, host=host)) for host in ("h1", "h2")]
    for each in seen:
        judging.take(each)
    counting = [interval_of(each).counting for each in seen]
    assert counting == [frozenset(), {("cpu", "hog")}]


def test_a_report_that_is_never_stored_is_let_go_with_its_moment(
    agreements: AgreementBook,
) -> None:
    judging = Judging(OnePolicy(Policy()), agreements)
    refused = [judging.see(report) for report in many(3 * JUDGED_TOGETHER)]
    assert max(len(seen.waits_with) for seen in refused) == JUDGED_TOGETHER


def test_a_hosts_tenants_are_named_once_however_many_intervals_are_kept(
    agreements: AgreementBook,
) -> None:
    judging = Judging(OnePolicy(Policy()), agreements)
    bodies = [msgspec.msgpack.encode(cpu_report(NOW + 10 * at, BUSY)) for at in (1, 2)]
    first, second = [judging.see(msgspec.msgpack.decode(body, type=Report)) for body in bodies]
    assert first.figures.tenants is second.figures.tenants


def many(count: int) -> list[Report]:
    return [cpu_report(NOW, BUSY, host=f"h{number}") for number in range(count)]
