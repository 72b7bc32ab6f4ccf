"""How busy a host's processors are, where its own figures of them do not add up."""

from __future__ import annotations

import pytest

from fairuse_agent.sampling.host import _Processors
from fairuse_agent.sampling.round import Sampler
from tests.sampling.hosts import FolderHost, start

BOOTED = _Processors(busy_seconds=1000.0, idle_seconds=20_000.0, cores=2)


@pytest.mark.parametrize(
    ("busy", "idle", "cores", "told"),
    [
        pytest.param(4.0, 16.0, 2, 4.0, id="it all adds up"),
        pytest.param(16.5, 0.0, 2, 20.0, id="a guest that is never idle and loses ticks"),
        pytest.param(4.0, 12.0, 2, 5.0, id="a guest from which a fifth was stolen"),
        pytest.param(0.0, 20.0, 2, 0.0, id="idle"),
        pytest.param(0.0, 0.0, 2, 0.0, id="nothing passed"),
        pytest.param(1.0, -9990.0, 2, 1.0, id="idle time went back: a processor went offline"),
        pytest.param(20.0, 500.0, 2, 20.0, id="idle time leapt"),
        pytest.param(80.0, 0.0, 8, 80.0, id="six processors more than before"),
        pytest.param(4.0, 3.0, 1, 4.0, id="one less than before"),
    ],
)
def test_a_host_is_busy_for_the_time_that_its_processors_got_and_used(
    host: FolderHost,
    opened: list[Sampler],
    monkeypatch: pytest.MonkeyPatch,
    busy: float,
    idle: float,
    cores: int,
    told: float,
) -> None:
    """In ten seconds, with two processors at first."""
    counters = BOOTED
    monkeypatch.setattr("fairuse_agent.sampling.host._read_processors", lambda: counters)
    sampler = start(host, opened)
    counters = _Processors(BOOTED.busy_seconds + busy, BOOTED.idle_seconds + idle, cores)
    assert host.next(sampler, seconds=10).usage.cpu_busy_seconds == pytest.approx(told)
