"""What the controller knows of its hosts right now, for the API and the status page."""

from __future__ import annotations

import math

from controller.fairshare.interval import Interval
from controller.fairshare.measured import ROW, Measured
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


def host_view(report: Report, measured: Measured, interval: Interval) -> HostView:
    """The view of one host out of its last report, as measured and as judged."""
    (tenants,) = measured.spans.tenants
    return HostView(
        host=report.host,
        last_report_at=measured.ended_at,
        interval_seconds=report.seconds,
        pressure_source=report.pressure_source,
        notes=report.notes,
        resources=tuple(_resource_view(measured, resource) for resource in RESOURCES),
        tenants=tuple(
            _tenant_view(report.host, tenant, measured, interval, index)
            for index, tenant in enumerate(tenants)
        ),
        limiter=report.limiter,
        lost_reports=report.lost_reports,
    )


def _resource_view(measured: Measured, resource: Resource) -> ResourceView:
    row = ROW[resource]
    capacity, utilisation = measured.capacity[row, 0], measured.utilisation[row, 0]
    return ResourceView(
        resource=resource,
        capacity=float(capacity) if measured.capacity_known[row, 0] else None,
        used=float(measured.delivered[row, 0]),
        utilisation=0.0 if math.isnan(utilisation) else float(utilisation),
        waiting=_or_none(measured.host_waiting[row, 0]),
    )


def _tenant_view(
    host: str, tenant: str, measured: Measured, interval: Interval, index: int
) -> TenantView:
    return TenantView(
        host=host,
        tenant=tenant,
        weight=float(measured.weights[index]),
        used={resource: float(measured.used[ROW[resource], index]) for resource in RESOURCES},
        fair_share={resource: interval.fair_share(resource, index) for resource in RESOURCES},
        waiting={
            resource: waiting
            for resource in RESOURCES
            if (waiting := _or_none(measured.waiting[ROW[resource], index])) is not None
        },
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
