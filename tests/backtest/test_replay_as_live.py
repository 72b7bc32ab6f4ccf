"""The replay is the live code: the same reports bring about the same cases at the desk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from controller.backtest.events import Event, EventStore
from controller.backtest.replay import Replay
from controller.cases.model import Case
from controller.fairshare.figures import gather
from controller.fairshare.measured import measure
from controller.fairshare.peaks import follow, no_peaks
from controller.fairshare.policy import Policy
from fairuse_protocol.reports import Report
from tests.cases.world import POLICY, World

INTERVALS = 300
UNLIMITED = msgspec.structs.replace(
    POLICY, limit=msgspec.structs.replace(POLICY.limit, max_limits=0)
)
"""Nobody is limited: a limit that shows in what is measured is what a replay cannot have."""


def played(reports: list[Report], policy: Policy = UNLIMITED) -> list[Event]:
    events = EventStore()
    replay = Replay(policy, events)
    peaks = no_peaks(reports[0].started_at)
    for report in reports:
        figures = gather(report)
        ended_at = np.array([figures.ended_at])
        until_now, peaks = follow(peaks, figures.delivered_rates[:, None], ended_at)
        replay.take(measure([figures], peaks=until_now), [report.host])
    replay.end()
    found = list(events.in_order())
    events.close()
    return found


def unsteady_use(seed: int) -> Iterator[tuple[dict[str, float], float]]:
    """Tenants that come and go between little and much, and how much neighbours wait."""
    chance = random.Random(seed)
    heavy = dict.fromkeys("abcdef", False)
    for _ in range(INTERVALS):
        for tenant, much in heavy.items():
            if chance.random() < (0.06 if much else 0.02):
                heavy[tenant] = not much
        used = {tenant: 5.0 if much else 0.4 for tenant, much in heavy.items()}
        total = sum(used.values())
        if total > 8:
            used = {tenant: cores * 8 / total for tenant, cores in used.items()}
        yield used, 0.3 if total >= 6 else 0.0


async def lived(world: World, seed: int, *, silent_after: int | None = None) -> list[Report]:
    """The desk is given every report, and its notices are delivered at once."""
    reports = []
    for number, (used, waiting) in enumerate(unsteady_use(seed)):
        if number == silent_after:
            await world.pass_time(70.0)
        reports.append(await world.report(used, waiting=waiting))
        await world.deliver()
    return reports


def lives(cases: list[Case]) -> list[tuple[object, ...]]:
    return sorted(
        (
            round(case.opened_at),
            case.tenant,
            case.resource,
            round(case.verdict.ratio, 3),
            None if case.notice_accepted_at is None else round(case.notice_accepted_at),
            None if case.closed_at is None else round(case.closed_at),
        )
        for case in cases
    )


def lives_played(events: list[Event]) -> list[tuple[object, ...]]:
    """The same out of a replay's events."""
    found: dict[tuple[str, str], list[object]] = {}
    ended = []
    for event in events:
        key = (event.tenant, event.resource)
        match event.event:
            case "case-opened":
                found[key] = [event.time, *key, event.ratio, None, None]
            case "notice-sent":
                found[key][4] = event.time
            case "case-closed":
                found[key][5] = event.time
                ended.append(tuple(found.pop(key)))
    return sorted([*ended, *(tuple(life) for life in found.values())])


@pytest.mark.parametrize("silent_after", [None, 150])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_same_reports_bring_about_the_same_cases(
    tmp_path: Path, seed: int, silent_after: int | None
) -> None:
    world = await World.open(tmp_path, policy=UNLIMITED)
    try:
        reports = await lived(world, seed, silent_after=silent_after)
        live = await world.desk.cases(limit=1000)
    finally:
        await world.database.close()
    assert len(live) >= 3
    assert lives_played(played(reports)) == lives(live)


async def test_a_limit_is_ordered_when_it_would_be_live(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    try:
        reports = []
        for _ in range(40):
            reports.append(await world.report(limiter=world.holding()))
            await world.deliver()
            case = await world.only_case() if await world.desk.cases() else None
            if case is not None and case.limit is not None:
                break
        assert case is not None
        assert case.limit is not None
        ordered_at = case.limit.ordered_at
    finally:
        await world.database.close()
    applied = [event for event in played(reports, POLICY) if event.event == "limit-applied"]
    assert [event.time for event in applied] == [round(ordered_at)]
