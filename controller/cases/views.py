"""What the controller knows of its hosts right now, for the API and the status page.

Data only, so that the command line can read it too.
"""

from __future__ import annotations

from fairuse_protocol.limits import LimiterState
from fairuse_protocol.messages import Message, Resource
from fairuse_protocol.reports import PressureSource


class ResourceView(Message):
    """One resource of one host over its last interval, in the resource's own unit."""

    resource: Resource
    capacity: float | None
    """None: not known."""
    used: float
    utilisation: float
    waiting: float | None


class TenantView(Message):
    """One tenant on one host over its last interval. A waiting that was not measured is absent."""

    host: str
    tenant: str
    weight: float
    used: dict[Resource, float]
    fair_share: dict[Resource, float]
    waiting: dict[Resource, float]


class HostView(Message):
    """One host as its last report showed it."""

    host: str
    last_report_at: float
    interval_seconds: float
    pressure_source: PressureSource
    notes: tuple[str, ...]
    resources: tuple[ResourceView, ...]
    tenants: tuple[TenantView, ...]
    limiter: LimiterState | None
    """None: the agent had no limiter to ask."""
    lost_reports: int
