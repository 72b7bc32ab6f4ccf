from __future__ import annotations

import math

from fairuse_cli.demo.simulated_limiter import SimulatedLimiter
from fairuse_protocol.limits import LimitOrder
from fairuse_protocol.messages import Allowance


def order(name: str, remaining_seconds: float) -> LimitOrder:
    return LimitOrder(
        order=name,
        tenant="alder",
        resource="cpu",
        allowance=Allowance(cores=1.5),
        fair_share=Allowance(cores=1.2),
        remaining_seconds=remaining_seconds,
    )


def test_a_limit_stands_until_its_lease_ends_whatever_else_happens() -> None:
    limiter = SimulatedLimiter()
    limiter.obey([order("one", 10)], now=100)
    assert limiter.cap("alder", "cpu") == 1.5
    assert limiter.cap("birch", "cpu") == limiter.cap("alder", "net-out") == math.inf
    assert limiter.ends_before(111) == [110]
    limiter.expire(109.9)
    assert limiter.cap("alder", "cpu") == 1.5
    limiter.expire(110)
    assert limiter.cap("alder", "cpu") == math.inf
    assert [lifted.reason for lifted in limiter.state(110).lifted] == ["lease-ended"]


def test_an_order_that_is_no_longer_given_is_lifted_and_an_ended_one_does_not_come_back() -> None:
    limiter = SimulatedLimiter()
    limiter.obey([order("one", 10)], now=0)
    limiter.obey([], now=1)
    assert [lifted.reason for lifted in limiter.state(1).lifted] == ["withdrawn"]
    limiter.obey([order("one", 9)], now=2)
    assert limiter.state(2).held == ()
