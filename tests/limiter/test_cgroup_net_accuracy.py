"""The running limiter and tenants without an interface, measured at the other end of the uplink."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairuse_agent.limiter.kernel import nft
from fairuse_agent.limiter.kernel.mounts import read_mounts
from fairuse_protocol.limits import GetState, LimiterState, LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance, Resource
from tests.limiter import work
from tests.limiter.place import Limiter, cgroup, child, limiter
from tests.limiter.test_limiter_accuracy import FRAME, PAYLOAD, rate
from tests.limiter.uplink import Uplink, uplink

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not nft.available(), reason="this machine lacks the program nft"),
    pytest.mark.skipif(read_mounts().v2 is None, reason="this kernel has no cgroup2 hierarchy"),
]
SENT = 30e6
"""Bytes per second that every flow moves while nothing holds it."""
ALLOWED = 2.5e6
SETTLED_SECONDS, MEASURED_SECONDS = 3.0, 10.0


class Tenants:
    """Alder and birch, each with a flow in and a flow out; alder with one over loopback too."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        self.on: Uplink = stack.enter_context(uplink())
        self.groups = {name: stack.enter_context(cgroup()) for name in ("alder", "birch")}
        self.tallies: dict[str, Path] = {}
        for name, number in (("alder", 1), ("birch", 3)):
            group = self.groups[name]
            for way, sink in (("in", number), ("out", number + 1)):
                tally = self.tallies[f"{name}-{way}"] = directory / f"{name}-{way}"
                here, there = self._program(self.on.host), self._program(self.on.server)
                address = f"10.214.0.{sink}"
                ends = {"sink": (address, str(tally)), "source": (address, str(int(SENT)))}
                own, other = ("sink", "source") if way == "in" else ("source", "sink")
                stack.enter_context(child(*here, own, *ends[own], group=group))
                stack.enter_context(child(*there, other, *ends[other]))
        tally = self.tallies["loopback"] = directory / "loopback"
        here, group = self._program(self.on.host), self.groups["alder"]
        stack.enter_context(child(*here, "sink", "127.0.0.1", str(tally), group=group))
        stack.enter_context(child(*here, "source", "127.0.0.1", str(int(SENT)), group=group))

    def _program(self, namespace: str) -> tuple[str, ...]:
        return (*self.on.enter(namespace), sys.executable, work.__file__)

    def request(self, *ways: Resource, tenants: tuple[str, ...] = ("alder",)) -> SetLimits:
        amount = Allowance(bytes_per_second=ALLOWED)
        return SetLimits(
            orders=tuple(
                LimitOrder(
                    order=f"{name}-{way}",
                    tenant=name,
                    resource=way,
                    allowance=amount,
                    fair_share=amount,
                    remaining_seconds=60,
                )
                for name in tenants
                for way in ways
            ),
            places=tuple(
                TenantPlace(tenant=name, weight=1, cgroups=(group,))
                for name, group in self.groups.items()
            ),
            controller_heard_seconds_ago=0,
        )

    def measure(self, seconds: float = MEASURED_SECONDS) -> dict[str, float]:
        """Payload per second by flow."""
        start = time.monotonic()
        time.sleep(seconds)
        end = time.monotonic()
        return {name: rate(tally, start, end) for name, tally in self.tallies.items()}


def held(by: Limiter, request: SetLimits) -> LimiterState:
    """Ask until everything is held."""
    until = time.monotonic() + 8
    while True:
        state = by.ask(request)
        if len(state.held) == len(request.orders):
            return state
        assert time.monotonic() < until, state.refused
        time.sleep(0.3)


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[Tenants]:
    with contextlib.ExitStack() as stack:
        made = Tenants(stack, tmp_path)
        time.sleep(1.5)
        yield made


def test_both_directions_hold_within_ten_percent_and_nobody_else_is_touched(
    tenants: Tenants,
) -> None:
    before = tenants.on.listing()
    with limiter(tenants.on.enter(tenants.on.host)) as running:
        state = held(running, tenants.request("net-in", "net-out"))
        assert {each.way for each in state.held} == {
            "nftables into an HTB class on up0",
            "nftables limit on up0",
        }
        time.sleep(SETTLED_SECONDS)
        through = tenants.measure()
        print({name: round(moved / ALLOWED, 3) for name, moved in through.items()})
        running.ask(tenants.request())
        assert tenants.on.listing() == before
    assert 0.9 <= through["alder-out"] * FRAME / PAYLOAD / ALLOWED <= 1.1
    assert 0.9 <= through["alder-in"] / ALLOWED <= 1.1
    for name in ("birch-in", "birch-out", "loopback"):
        assert through[name] > 0.8 * SENT, name


def test_one_of_two_limits_is_lifted_and_the_other_stands(tenants: Tenants) -> None:
    before = tenants.on.listing()
    with limiter(tenants.on.enter(tenants.on.host)) as running:
        held(running, tenants.request("net-out", tenants=("alder", "birch")))
        held(running, tenants.request("net-out", tenants=("birch",)))
        time.sleep(SETTLED_SECONDS)
        through = tenants.measure(4.0)
        assert through["birch-out"] < 1.1 * ALLOWED
        assert through["alder-out"] > 0.8 * SENT
        running.ask(tenants.request())
        assert tenants.on.listing() == before


def test_a_killed_limiter_is_made_up_for_by_the_next(tenants: Tenants) -> None:
    before = tenants.on.listing()
    with limiter(tenants.on.enter(tenants.on.host)) as running:
        held(running, tenants.request("net-in", "net-out"))
        running.kill(signal.SIGKILL)
        assert "fa1e:" in tenants.on.listing(), "it stands until somebody lifts it"
        running.start()
        assert tenants.on.listing() == before
        lifted = running.ask(GetState()).lifted
        assert {(each.reason, each.restored) for each in lifted} == {("limiter-started", True)}


def test_a_tenant_that_only_speaks_over_loopback_is_within_its_share(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(uplink())
        group = stack.enter_context(cgroup())
        program = (*on.enter(on.host), sys.executable, work.__file__)
        tally = str(tmp_path / "tally")
        stack.enter_context(child(*program, "sink", "127.0.0.1", tally, group=group))
        stack.enter_context(child(*program, "source", "127.0.0.1", str(int(SENT)), group=group))
        before = on.listing()
        running = stack.enter_context(limiter(on.enter(on.host)))
        amount = Allowance(bytes_per_second=ALLOWED)
        order = LimitOrder(
            order="one",
            tenant="alder",
            resource="net-out",
            allowance=amount,
            fair_share=amount,
            remaining_seconds=60,
        )
        place = TenantPlace(tenant="alder", weight=1, cgroups=(group,))
        request = SetLimits(orders=(order,), places=(place,), controller_heard_seconds_ago=0)
        running.ask(request)
        time.sleep(2.0)
        (refused,) = running.ask(GetState()).refused
        assert (refused.promise, "measured 0 of" in refused.reason) == (4, True)
        running.ask(SetLimits(orders=(), places=(place,), controller_heard_seconds_ago=0))
        assert on.listing() == before
        assert Path(tally).stat().st_size, "it did speak"
