"""The views of hosts, made out of their newest reports."""

from __future__ import annotations

import math

from controller.cases.views import HostView, ResourceView, TenantView
from controller.fairshare.interval import Interval
from controller.fairshare.measured import ROW, Measured
from fairuse_protocol.messages import RESOURCES, Resource
from fairuse_protocol.reports import Report


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
