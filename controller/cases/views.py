"""What the controller knows of its hosts right now, for the API and the status page."""

from __future__ import annotations

import math

from controller.fairshare.interval import Measured
from fairuse_protocol.limits import LimiterState
from fairuse_protocol.messages import RESOURCES, Message, Resource
from fairuse_protocol.reports import PressureSource, Report


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


def host_view(report: Report, measured: Measured) -> HostView:
    """The view of one host out of its last report."""
    return HostView(
        host=report.host,
        last_report_at=measured.ended_at,
        interval_seconds=measured.seconds,
        pressure_source=report.pressure_source,
        notes=report.notes,
        resources=tuple(_resource_view(measured, resource) for resource in RESOURCES),
        tenants=tuple(
            _tenant_view(report.host, measured, index) for index in range(len(measured.tenants))
        ),
        limiter=report.limiter,
        lost_reports=report.lost_reports,
    )


def _resource_view(measured: Measured, resource: Resource) -> ResourceView:
    use = measured.resources[resource]
    return ResourceView(
        resource=resource,
        capacity=use.capacity if use.capacity_known else None,
        used=use.utilisation * use.capacity if use.capacity_known else sum(use.used),
        utilisation=use.utilisation,
        waiting=use.host_waiting,
    )


def _tenant_view(host: str, measured: Measured, index: int) -> TenantView:
    waiting = {
        resource: measured.resources[resource].waiting[index]
        for resource in RESOURCES
        if not math.isnan(measured.resources[resource].waiting[index])
    }
    return TenantView(
        host=host,
        tenant=measured.tenants[index],
        weight=measured.weights[index],
        used={resource: measured.resources[resource].used[index] for resource in RESOURCES},
        fair_share={resource: measured.fair_share(resource, index) for resource in RESOURCES},
        waiting=waiting,
    )
