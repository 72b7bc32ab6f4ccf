"""Whether an order may be carried out: promises 2, 4 and 8, decided without touching anything.

Promise 3 is decided where a knob's state is read (`fields` of each kernel way), because only
there it is known whose it is. Every refusal names its promise and says what was asked, what was
found and what would be allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from fairuse_agent.limiter.settings import Floors
from fairuse_protocol.limits import LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance, Resource

ROUNDING = 0.005
"""An allowance this much under the fair share is taken as equal: it was rounded on its way."""

UNITS: dict[Resource, tuple[str, ...]] = {
    "cpu": ("cores",),
    "disk": ("bytes_per_second", "operations_per_second"),
    "net-in": ("bytes_per_second",),
    "net-out": ("bytes_per_second",),
}
_WORDS = {
    "cores": "cores",
    "bytes_per_second": "bytes/s",
    "operations_per_second": "operations/s",
}

Figures = Mapping[str, float]
"""An allowance's figures by unit (`cores`, `bytes_per_second`, `operations_per_second`)."""


ORDERS_LOOKED_AT_PER_LIMIT = 4
"""So many times `max_limits` orders of one request are looked at: each costs a look at the kernel,
and what is beyond could not stand anyway."""

LONGEST_NAME = 200
"""Characters of an order's or a tenant's name, which the journal keeps."""


@dataclass(frozen=True)
class Refusal:
    """An order is not carried out: the promise against it, if one is, and why."""

    promise: int | None
    reason: str


def figures(allowance: Allowance | None, resource: Resource) -> dict[str, float]:
    """The figures of an allowance that fit the resource."""
    if allowance is None:
        return {}
    found = {unit: getattr(allowance, unit) for unit in UNITS[resource]}
    return {unit: float(value) for unit, value in found.items() if value is not None}


def fair_share(
    tenant: str, present: Iterable[TenantPlace], capacity: Allowance | None, resource: Resource
) -> dict[str, float]:
    """Capacity x weight / weights of all tenants present; empty where the capacity is unknown."""
    weights = {place.tenant: place.weight for place in present if place.weight > 0}
    if tenant not in weights:
        return {}
    part = weights[tenant] / sum(weights.values())
    return {unit: value * part for unit, value in figures(capacity, resource).items()}


def told_capacity(request: SetLimits, resource: Resource) -> Allowance | None:
    """What the host has of a resource, as the agent was configured; None where it was not."""
    if resource == "disk":
        return request.capacity_disk
    return request.capacity_net_in if resource == "net-in" else request.capacity_net_out


def eased(order: LimitOrder, least: dict[str, float]) -> LimitOrder:
    """A standing limit that the fair share has grown past is held to the fair share instead."""
    allowance = order.allowance
    for unit, value in figures(allowance, order.resource).items():
        if value < least[unit] * (1 - ROUNDING):
            allowance = msgspec.structs.replace(allowance, **{unit: least[unit]})
    return msgspec.structs.replace(order, allowance=allowance)


def owned_once(places: Iterable[TenantPlace]) -> list[TenantPlace]:
    """The places without those that name a cgroup or interface which an earlier one has.

    Two tenants cannot share one; counting both would make everyone's fair share smaller than it
    is.
    """
    taken: set[str] = set()
    kept = []
    for place in places:
        targets = {*place.cgroups, *place.interfaces}
        if targets & taken:
            continue
        taken |= targets
        kept.append(msgspec.structs.replace(place, cgroups=_outermost(place.cgroups)))
    return kept


def _outermost(cgroups: tuple[str, ...]) -> tuple[str, ...]:
    """Each group once, and none that lies below another: its use is counted there already."""
    named = dict.fromkeys(cgroups)
    return tuple(
        group
        for group in named
        if not any(group.startswith(f"{other}/") for other in named if other != group)
    )


def floor(order: LimitOrder, own_share: Figures, floors: Floors) -> dict[str, float]:
    """The least that this order may allow: the largest of the limiter's own figure, the
    controller's, and the floor set in limiter.toml."""
    told = figures(order.fair_share, order.resource)
    set_floors = figures(_floors_of(order.resource, floors), order.resource)
    return {
        unit: max(own_share.get(unit, 0.0), told.get(unit, 0.0), set_floors[unit])
        for unit in UNITS[order.resource]
    }


def judge_names(order: LimitOrder) -> Refusal | None:
    """What names an order has to be short enough to be kept."""
    for field, name in (("order", order.order), ("tenant", order.tenant)):
        if not 0 < len(name) <= LONGEST_NAME:
            return Refusal(
                None, f"{field}: expected 1 to {LONGEST_NAME} characters, found {len(name)}"
            )
    return None


def judge_shape(order: LimitOrder) -> Refusal | None:
    """An order has to have a figure for its resource."""
    if figures(order.allowance, order.resource):
        return None
    units = " or ".join(UNITS[order.resource])
    return Refusal(None, f"allowance: expected {units} for {order.resource}, found neither")


def judge_weight(place: TenantPlace) -> Refusal | None:
    """Promise 4: without a weight the limiter cannot work out a share, and so not keep to it."""
    if 0 < place.weight < math.inf:
        return None
    return Refusal(
        4, f"weight: expected more than 0 for tenant {place.tenant}, found {place.weight:g}"
    )


def judge_allowance(order: LimitOrder, least: Figures) -> Refusal | None:
    """Promise 4: never below fair."""
    for unit, value in figures(order.allowance, order.resource).items():
        if value < least[unit] * (1 - ROUNDING):
            return Refusal(
                4,
                f"{value:.6g} {_WORDS[unit]} is under the {least[unit]:.6g} that is this"
                " tenant's fair share on this host",
            )
    return None


def judge_use(resource: Resource, use: Figures, share: Figures) -> Refusal | None:
    """Promise 4: never on a tenant that is not over its fair share, in any of its figures."""
    if any(use.get(unit, 0.0) > value for unit, value in share.items()):
        return None
    seen = ", ".join(
        f"{use.get(unit, 0.0):.6g} of {value:.6g} {_WORDS[unit]}" for unit, value in share.items()
    )
    return Refusal(4, f"the tenant is within its fair share of {resource}: measured {seen}")


def judge_count(standing: int, max_limits: int) -> Refusal | None:
    """Promise 8: small blast radius."""
    if standing < max_limits:
        return None
    return Refusal(8, f"{standing} limits stand on this host and max_limits is {max_limits}")


def _floors_of(resource: Resource, floors: Floors) -> Allowance:
    if resource == "cpu":
        return Allowance(cores=floors.cpu_cores)
    if resource == "disk":
        return Allowance(
            bytes_per_second=floors.disk_bandwidth,
            operations_per_second=floors.disk_operations_per_second,
        )
    return Allowance(bytes_per_second=floors.net)
