from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_agent.reporting.limiter_client import LimiterClient, LimiterWatch
from fairuse_agent.reporting.rounds import Rounds, RoundsFailError, Source, following_tick
from fairuse_agent.reporting.spool import Spool
from fairuse_agent.sampling.round import Round, Sampler
from fairuse_agent.settings import AgentSettings
from fairuse_protocol.limits import LimiterState
from fairuse_protocol.reports import Report, decode_report
from tests.agent.rig import PLENTY, usage

ROUND = Round(1_000_000.0, 10.0, usage(), (), "psi", ("a note of the sampler",))


class Script:
    """A sampler that gives, or raises, one thing after another."""

    def __init__(self, *steps: Round | Exception | None) -> None:
        self.steps = list(steps)

    async def prepare(self) -> None:
        """Nothing to ask."""

    def read(self) -> Round | None:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    made = Spool(tmp_path, PLENTY)
    yield made
    made.close()


def rounds(
    spool: Spool, source: Source, state: LimiterState | None = None, trouble: str = ""
) -> Rounds:
    limiter = LimiterWatch(LimiterClient(spool._directory / "s"))
    limiter.state, limiter.trouble = state, trouble
    return Rounds("h1", source, spool, limiter)


async def reports(spool: Spool) -> list[Report]:
    found = []
    while len(spool):
        waiting, body = await spool.oldest()
        found.append(decode_report(body))
        spool.acknowledge(waiting)
    return found


@given(
    st.floats(0, 1e7),
    st.sampled_from([1.0, 10.0, 0.1 * 37]),
    st.lists(st.floats(0, 35), max_size=30),
)
def test_ticks_stay_on_whole_intervals_and_never_repeat_or_lie_in_the_past(
    start: float, interval: float, delays: list[float]
) -> None:
    tick = start
    for delay in delays:
        now = tick + delay
        following = following_tick(tick, now, interval)
        assert following > tick + interval / 2
        assert following > now - 1e-6
        assert following <= now + interval + 1e-6
        steps = (following - start) / interval
        assert abs(steps - round(steps)) < 1e-3
        tick = following


def test_waking_a_hair_early_does_not_make_a_second_round_of_the_same_tick() -> None:
    assert following_tick(10.0, 9.999999, 1.0) == 11.0


async def test_a_round_becomes_a_report_with_everything_that_is_known(spool: Spool) -> None:
    state = LimiterState(ways={"cpu": "x"})
    rounds(spool, Script(ROUND), state).take()
    (report,) = await reports(spool)
    assert report == Report(
        host="h1",
        spool=spool.spool,
        sequence=0,
        started_at=1_000_000.0,
        seconds=10.0,
        usage=usage(),
        limiter=state,
        notes=("a note of the sampler",),
    )


async def test_the_first_reading_is_a_baseline_and_no_report(spool: Spool) -> None:
    rounds(spool, Script(None)).take()
    assert len(spool) == 0


async def test_failed_rounds_are_logged_and_told_in_the_next_report_only(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    working = rounds(spool, Script(OSError("odd"), ValueError("odder"), ROUND, ROUND))
    for _ in range(4):
        working.take()
    first, second = await reports(spool)
    assert first.notes[1] == "2 rounds before this one failed; the agent's log says why"
    assert second.notes == ("a note of the sampler",)
    assert "odder" in caplog.text


async def test_a_report_that_cannot_be_encoded_is_a_failed_round(spool: Spool) -> None:
    bad = Round(0.0, 1.0, object(), (), "psi", ())  # type: ignore[arg-type]  # that is the point
    rounds(spool, Script(bad)).take()
    assert len(spool) == 0


async def test_rounds_that_always_fail_end_the_program(spool: Spool) -> None:
    working = rounds(spool, Script(*[OSError("gone for good")] * 30))
    for _ in range(29):
        working.take()
    with pytest.raises(RoundsFailError, match=r"30 rounds in a row failed.*gone for good"):
        working.take()


async def test_rounds_that_fail_in_turn_with_baselines_end_the_program_too(spool: Spool) -> None:
    working = rounds(spool, Script(*[OSError("every other time"), None] * 30))
    for _ in range(58):
        working.take()
    with pytest.raises(RoundsFailError, match="every other time"):
        working.take()


async def test_a_missing_limiter_and_a_failing_disk_are_told(spool: Spool) -> None:
    working = rounds(spool, Script(ROUND), trouble="no socket")
    spool.disk_trouble = "disk full"
    working.take()
    (report,) = await reports(spool)
    assert report.limiter is None
    assert report.notes[1:] == (
        "no limiter, observing only: no socket",
        "reports are kept in memory only: disk full",
    )


async def test_rounds_run_on_the_clock_that_they_are_given(spool: Spool) -> None:
    now = [100.25]
    slept: list[float] = []

    class EnoughError(Exception):
        pass

    async def sleep(seconds: float) -> None:
        if len(slept) == 3:
            raise EnoughError
        slept.append(seconds)
        now[0] += seconds + 0.5  # woken late, each time

    working = rounds(spool, Script(None, ROUND, ROUND, ROUND))
    with pytest.raises(EnoughError):
        await working.run(10, clock=lambda: now[0], sleep=sleep)
    assert slept == [10.0, 9.5, 9.5]
    assert len(spool) == 3


async def test_the_real_sampler_is_a_source_of_rounds(spool: Spool) -> None:
    sampler = Sampler(AgentSettings())
    try:
        working = rounds(spool, sampler)
        working.take()
        await asyncio.sleep(0.05)
        working.take()
    finally:
        sampler.close()
    (report,) = await reports(spool)
    assert report.usage.capacity.cpu_cores > 0
    assert 0.04 < report.seconds < 5
