from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairuse_agent.reporting.orders import Orders
from fairuse_protocol.limits import LimitOrder, TenantPlace
from fairuse_protocol.messages import Allowance
from fairuse_protocol.reports import Capacity

CAPACITY = Capacity(cpu_cores=4)
PLACES = (TenantPlace(tenant="a", weight=1.0, cgroups=("/a",)),)


def order(name: str, remaining_seconds: float) -> LimitOrder:
    share = Allowance(cores=1.0)
    return LimitOrder(
        order=name,
        tenant="a",
        resource="cpu",
        allowance=share,
        fair_share=share,
        remaining_seconds=remaining_seconds,
    )


def test_an_agent_that_never_heard_the_controller_orders_nothing_and_withdraws_nothing() -> None:
    assert Orders().request(5.0, places=PLACES, disks=(), capacity=CAPACITY) is None


@given(st.floats(0, 1e6), st.floats(0, 1e5), st.lists(st.floats(0.1, 1e4), max_size=5))
def test_leases_only_ever_shrink_and_end(
    heard_at: float, waited: float, leases: list[float]
) -> None:
    orders = Orders()
    orders.hear(tuple(order(str(i), lease) for i, lease in enumerate(leases)), heard_at)

    request = orders.request(heard_at + waited, places=PLACES, disks=(), capacity=CAPACITY)

    assert request is not None
    age = request.controller_heard_seconds_ago
    assert abs(age - waited) < 1e-3
    standing = {told.order: told.remaining_seconds for told in request.orders}
    assert standing == {str(i): lease - age for i, lease in enumerate(leases) if lease > age}
    assert all(remaining > 0 for remaining in standing.values())


def test_the_newest_answer_replaces_the_whole_set() -> None:
    orders = Orders()
    orders.hear((order("old", 60),), 10.0)
    orders.hear((order("new", 60),), 11.0)

    request = orders.request(12.0, places=PLACES, disks=("vda",), capacity=CAPACITY)

    assert request is not None
    assert [told.order for told in request.orders] == ["new"]
    assert request.places == PLACES
    assert request.disks == ("vda",)


def test_what_is_not_known_of_the_capacity_is_not_claimed() -> None:
    orders = Orders()
    orders.hear((), 0.0)
    known = Capacity(cpu_cores=4, disk_operations_per_second=100.0, net_in_bytes_per_second=5.0)

    request = orders.request(0.0, places=(), disks=(), capacity=known)

    assert request is not None
    assert request.capacity_disk == Allowance(operations_per_second=100.0)
    assert request.capacity_net_in == Allowance(bytes_per_second=5.0)
    assert request.capacity_net_out is None
