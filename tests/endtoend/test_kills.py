"""Promise 2 with three real programs: no limit outlives its lease, whoever is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.hosting import LEASE_SECONDS, Hosting, hosting

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(240)]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[tuple[Hosting, str, float]]:
    """A host on which the rule has limited the noisy tenant: it, the quota from before, when."""
    with hosting(tmp_path) as host:
        before = host.quota()
        since = host.until("a limit stands in the kernel", lambda: host.quota() != before)
        yield host, before, since


def test_a_killed_controller_leaves_the_limit_to_its_lease(
    limited: tuple[Hosting, str, float],
) -> None:
    host, before, since = limited
    host.kill("controller")
    time.sleep(5)
    assert host.quota() != before, "its lease has not run out"
    lifted = host.until("the limit is lifted", lambda: host.quota() == before, LEASE_SECONDS)
    assert lifted - since <= LEASE_SECONDS + 2


def test_a_killed_agent_leaves_the_limit_to_its_lease(
    limited: tuple[Hosting, str, float],
) -> None:
    host, before, since = limited
    host.kill("agent")
    lifted = host.until("the limit is lifted", lambda: host.quota() == before, LEASE_SECONDS + 2)
    assert lifted - since <= LEASE_SECONDS + 2


def test_a_killed_limiter_restores_when_it_starts_and_holds_the_rest_of_the_lease(
    limited: tuple[Hosting, str, float],
) -> None:
    host, before, since = limited
    host.kill("limiter")
    assert host.quota() != before, "nobody is there to lift it"
    host.start("limiter")
    host.until("the limit is lifted at the start", lambda: host.quota() == before, 10)
    host.until("the agent has it held again", lambda: host.quota() != before, 10)
    lifted = host.until("the lease ends", lambda: host.quota() == before, LEASE_SECONDS)
    assert lifted - since <= LEASE_SECONDS + 2


def test_lift_all_restores_with_all_three_killed(limited: tuple[Hosting, str, float]) -> None:
    host, before, _ = limited
    for name in ("controller", "agent", "limiter"):
        host.kill(name)
    time.sleep(1)
    assert host.quota() != before
    host.lift_all()
    assert host.quota() == before
