"""What is exported, for accounting and for the customers themselves. Times are ISO 8601, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fairuse_protocol.limits import Held
from fairuse_protocol.messages import Allowance, Message

Instant = Annotated[datetime, Meta(tz=True)]


class LimitedQuery(Message):
    """Which time, and whose."""

    begins: Annotated[Instant, Meta(description="ISO 8601 with an offset.")] = msgspec.field(
        name="from"
    )
    ends: Annotated[Instant, Meta(description="ISO 8601 with an offset; not in it.")] = (
        msgspec.field(name="to")
    )
    tenant: Annotated[str, Meta(description="Only this tenant's.")] | None = None


class LimitedTime(Message):
    """A time in which a tenant was held, cut to the time that was asked for."""

    tenant: str
    host: str
    held: Held
    """Its use of one resource, or all of it, by a suspension."""
    begins: Instant = msgspec.field(name="from")
    """When the host first said that it stands, if that is in the time asked for."""
    until: Instant
    seconds: float
    goes_on: bool
    """Whether it stood on after `until`, with this allowance."""
    allowance: Allowance | None
    """A limit that was changed is told in parts, one for each; None in a suspension."""
    ordered_by: str | None
    """The operator who ordered it by name; None: the rule did."""
    case: str
    order: str


class LimitedTotal(Message):
    """One tenant's time; what stood at the same time is counted once."""

    tenant: str
    limited_seconds: float
    """In which anything of the tenant was held, suspensions included."""
    suspended_seconds: float
    orders: int
    """How many limits and suspensions that were; a limit that was changed is one."""


class LimitedAnswer(Message):
    """Every limit and suspension that a host has confirmed, by tenant and time."""

    at: Instant
    begins: Instant = msgspec.field(name="from")
    ends: Instant = msgspec.field(name="to")
    intervals: tuple[LimitedTime, ...]
    totals: tuple[LimitedTotal, ...]


class TenantExport(Message):
    """Everything that is kept of one tenant. What hosts have reported is not in it: that names
    everybody on them, and is gone after `keep_reports`."""

    at: Instant
    tenant: str
    listed: dict[str, Any] | None
    """As the tenants' directory lists it, without secrets; None: it does not."""
    cases: tuple[dict[str, Any], ...]
    """Newest first, each with its evidence, history, notices, orders and suspensions."""
    agreements: tuple[dict[str, Any], ...]
    announcements: tuple[dict[str, Any], ...]
    """What it was told of policies and agreements."""
    habits: tuple[dict[str, Any], ...]
    """What it uses as a rule, by host and hour of the week."""
    limited: tuple[LimitedTime, ...]
