"""When tenants were limited or suspended, for service-level accounting. Pure.

What is accounted for begins when its host first said that the limit stands, and ends when the
controller ended it or its lease ran out, whichever came first; a limit that was changed meanwhile
makes an interval for each allowance. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from controller.cases.model import EarlierAllowance
from controller.storage.stood import StoodRow
from fairuse_protocol.limits import Held
from fairuse_protocol.messages import Allowance

Span = tuple[float, float]
"""From when until when; the end is not in it."""


class _Allowed(msgspec.Struct):
    """What is read of an order's document, whose evidence is long."""

    allowance: Allowance
    earlier: tuple[EarlierAllowance, ...] = ()


_allowed_decoder = msgspec.json.Decoder(_Allowed)


@dataclass(frozen=True)
class LimitedInterval:
    """A time in which a tenant was held, as much of it as was asked for."""

    order: str
    case_id: str
    tenant: str
    host: str
    held: Held
    allowance: Allowance | None
    """None: nothing was allowed, in a suspension."""
    ordered_by: str
    """An operator's name; empty: the rule."""
    start: float
    end: float
    goes_on: bool
    """Whether it stood on after `end`, as it was then."""

    @property
    def span(self) -> Span:
        """From when until when."""
        return self.start, self.end


@dataclass(frozen=True)
class TenantTotal:
    """How long a tenant was held, by however many limits at a time."""

    tenant: str
    limited_seconds: float
    """In which anything of the tenant was held, suspensions included."""
    suspended_seconds: float
    orders: int
    """How many limits and suspensions that were."""


def intervals(
    rows: Iterable[StoodRow], start: float, end: float, *, now: float
) -> list[LimitedInterval]:
    """What stood from `start` to `end`, cut to that, and to what has passed by `now`."""
    return [each for row in rows for each in _intervals(row, start, end, now)]


def totals(found: Iterable[LimitedInterval]) -> list[TenantTotal]:
    """Each tenant's time, none of it counted twice; in the order in which tenants come."""
    by_tenant: defaultdict[str, list[LimitedInterval]] = defaultdict(list)
    for each in found:
        by_tenant[each.tenant].append(each)
    return [
        TenantTotal(
            tenant=tenant,
            limited_seconds=covered_seconds(each.span for each in theirs),
            suspended_seconds=covered_seconds(
                each.span for each in theirs if each.held == "suspension"
            ),
            orders=len({each.order for each in theirs}),
        )
        for tenant, theirs in by_tenant.items()
    ]


def covered_seconds(spans: Iterable[Span]) -> float:
    """How much time at least one of `spans` covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _intervals(row: StoodRow, start: float, end: float, now: float) -> Iterator[LimitedInterval]:
    over = row.lease_until if row.ended_at is None else min(row.ended_at, row.lease_until)
    since = row.confirmed_at
    for allowance, changed_at in _allowances(row):
        until = min(over, changed_at)
        began, ended = max(since, start), min(until, end, now)
        if ended > began:
            yield LimitedInterval(
                order=row.id,
                case_id=row.case_id,
                tenant=row.tenant,
                host=row.host,
                held=msgspec.convert(row.resource, Held),
                allowance=allowance,
                ordered_by=row.ordered_by or "",
                start=began,
                end=ended,
                goes_on=until > ended,
            )
        since = max(since, until)


def _allowances(row: StoodRow) -> list[tuple[Allowance | None, float]]:
    """What was allowed, one after another, and until when at the latest."""
    if not row.document:
        return [(None, row.lease_until)]
    allowed = _allowed_decoder.decode(row.document)
    before = [(each.allowance, each.until) for each in allowed.earlier]
    return [*before, (allowed.allowance, row.lease_until)]
