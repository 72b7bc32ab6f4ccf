"""The status page: every host's shares, the open cases, the limits that stand. Read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from controller.cases.model import OPEN_STATES, Case
from controller.cases.views import HostView, ResourceView, TenantView
from controller.contact import wording
from controller.fairshare.sentence import amount, brief_amount, duration
from controller.web.pages import page
from controller.web.routes import Route
from controller.web.services import SERVICES, Services
from fairuse_protocol.messages import RESOURCES, Resource

REFRESH_SECONDS = 10
_MOST_HOSTS = 50
_MOST_TENANTS = 12
"""A host: those furthest over their fair share first, since they are what one looks for."""
_SILENT_AFTER_INTERVALS = 4
_HEADS: dict[Resource, str] = {
    "cpu": "CPU",
    "disk": "Disk",
    "net-in": "Net in",
    "net-out": "Net out",
}
_STATES = {
    "watching": "writing to the customer",
    "notified": "customer was told",
    "limited": "limited",
    "held": "a person must decide",
}


@dataclass(frozen=True)
class Bar:
    """Use beside fair share, in percent of the whole. `over` is the part above the fair share."""

    used: float
    over: float
    share: float
    text: str


@dataclass(frozen=True)
class Row:
    """One tenant of a host."""

    tenant: str
    state: str
    """Of its open case; empty when there is none."""
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class HostPanel:
    """One host as shown."""

    name: str
    heard: str
    silent: bool
    remarks: tuple[str, ...]
    resources: tuple[tuple[str, str, float, str], ...]
    """Name, amount, percent used, waiting."""
    rows: tuple[Row, ...]
    more: int


async def show(request: web.Request) -> web.Response:
    """Everything at a glance."""
    services = request.app[SERVICES]
    now = services.clock()
    cases = [case for state in OPEN_STATES for case in await services.desk.cases(state=state)]
    cases.sort(key=lambda case: case.opened_at, reverse=True)
    views = sorted(services.desk.hosts(), key=_worst, reverse=True)
    states = {(case.host, case.tenant): case.state for case in cases}
    values = {
        "mode": services.desk.modes.most,
        "paused": services.desk.paused,
        "provider": services.settings.contact.provider_name,
        "now": wording.moment(now),
        "refresh_seconds": REFRESH_SECONDS,
        "counts": _counts(views, cases),
        "problems": services.problems,
        "cases": [_case_line(case, now, services) for case in cases],
        "limits": [_limit_line(case, now) for case in cases if case.limit],
        "hosts": [_panel(view, states, now) for view in views[:_MOST_HOSTS]],
        "host_count": len(views),
        "heads": [_HEADS[resource] for resource in RESOURCES],
    }
    return page("status.html.j2", values, root=".")


def _counts(views: Sequence[HostView], cases: Sequence[Case]) -> list[tuple[int, str]]:
    tenants = {tenant.tenant for view in views for tenant in view.tenants}
    counted = (
        (len(views), "host", "hosts"),
        (len(tenants), "tenant", "tenants"),
        (len(cases), "open case", "open cases"),
        (sum(case.state == "held" for case in cases), "waits for a person", "wait for a person"),
        (sum(case.limit is not None for case in cases), "limit stands", "limits stand"),
    )
    return [(count, one if count == 1 else many) for count, one, many in counted]


def _worst(view: HostView) -> float:
    """Hosts where somebody waits come first, then the busiest."""
    return max((r.waiting or 0.0) + r.utilisation / 100 for r in view.resources)


def _case_line(case: Case, now: float, services: Services) -> dict[str, str]:
    verdict = case.verdict
    return {
        "id": case.id,
        "tenant": case.tenant,
        "host": case.host,
        "resource": _HEADS[case.resource],
        "state": case.state,
        "state_words": _STATES[case.state],
        "severity": case.severity,
        "evidence": f"{amount(case.resource, verdict.average_used)}, "
        f"{verdict.ratio:.1f} times its share; {verdict.neighbours_harmed} of "
        f"{verdict.neighbours} waited {wording.percent(verdict.neighbours_waiting)}",
        "opened": wording.from_now(case.opened_at, now),
        "next": _next(case, now, enforcing=services.desk.modes.on(case.host) == "enforce"),
    }


def _next(case: Case, now: float, *, enforcing: bool) -> str:
    if case.state == "held":
        return case.held_because
    if case.limit is not None:
        return f"limit ends {wording.from_now(case.limit.lease_until, now)}"
    if case.deadline is None:
        return "no deadline yet"
    if not enforcing:
        return "no limits in this mode"
    if now >= case.deadline:
        return "deadline passed"
    return f"deadline {wording.from_now(case.deadline, now)}"


def _limit_line(case: Case, now: float) -> dict[str, str]:
    limit, effect = case.limit, case.effect
    if limit is None:
        raise ValueError(f"case {case.id} has no limit")
    return {
        "tenant": case.tenant,
        "host": case.host,
        "resource": _HEADS[case.resource],
        "allowance": amount(case.resource, limit.allowance),
        "fair_share": amount(case.resource, limit.fair_share),
        "before": amount(case.resource, limit.unlimited_use),
        "stands": "yes" if limit.confirmed_at else "not confirmed by its host yet",
        "ends": wording.from_now(limit.lease_until, now),
        "waiting": f"{wording.percent(effect.before)} to {wording.percent(effect.during)}"
        if effect is not None and effect.during is not None
        else "not measured yet",
    }


def _panel(view: HostView, states: Mapping[tuple[str, str], str], now: float) -> HostPanel:
    age = now - view.last_report_at
    whole = {resource.resource: _whole(resource, view) for resource in view.resources}
    tenants = sorted(view.tenants, key=_excess, reverse=True)
    tenants.sort(key=lambda tenant: (view.host, tenant.tenant) not in states)
    return HostPanel(
        name=view.host,
        heard=f"heard {duration(max(0.0, age))} ago",
        silent=age > _SILENT_AFTER_INTERVALS * view.interval_seconds,
        remarks=_remarks(view),
        resources=tuple(_resource_line(resource) for resource in view.resources),
        rows=tuple(
            Row(
                tenant=tenant.tenant,
                state=states.get((view.host, tenant.tenant), ""),
                bars=tuple(_bar(tenant, resource, whole[resource]) for resource in RESOURCES),
            )
            for tenant in tenants[:_MOST_TENANTS]
        ),
        more=max(0, len(tenants) - _MOST_TENANTS),
    )


def _whole(resource: ResourceView, view: HostView) -> float:
    """What a full bar stands for: the capacity, or the most that is to be shown."""
    shown = [tenant.used[resource.resource] for tenant in view.tenants]
    shown += [tenant.fair_share[resource.resource] for tenant in view.tenants]
    return resource.capacity or max(shown, default=0.0) or 1.0


def _excess(tenant: TenantView) -> float:
    return max(
        tenant.used[resource] / share if (share := tenant.fair_share[resource]) > 0 else 0.0
        for resource in RESOURCES
    )


def _bar(tenant: TenantView, resource: Resource, whole: float) -> Bar:
    used, share = tenant.used[resource], tenant.fair_share[resource]
    return Bar(
        used=_percent(min(used, share), whole),
        over=_percent(max(0.0, used - share), whole),
        share=_percent(share, whole),
        text=_brief(resource, used),
    )


def _percent(part: float, whole: float) -> float:
    return round(min(100.0, 100 * part / whole), 1)


def _brief(resource: Resource, value: float) -> str:
    return brief_amount(resource, value) if value else "0"


def _resource_line(resource: ResourceView) -> tuple[str, str, float, str]:
    used = _brief(resource.resource, resource.used)
    if resource.capacity is not None and resource.resource != "disk":
        used = f"{used} of {amount(resource.resource, resource.capacity)}"
    waiting = wording.percent(resource.waiting)
    return _HEADS[resource.resource], used, _percent(resource.utilisation, 1.0), waiting


def _remarks(view: HostView) -> tuple[str, ...]:
    remarks = list(view.notes)
    if view.limiter is None:
        remarks.append("no limiter on this host: nothing can be limited here")
    else:
        remarks += [
            f"refused to limit {each.tenant}: {each.reason}" for each in view.limiter.refused
        ]
    if view.lost_reports:
        remarks.append(f"{view.lost_reports} reports were lost")
    return tuple(remarks)


ROUTES = (Route("GET", "/", show, "viewer", "The status page"),)
