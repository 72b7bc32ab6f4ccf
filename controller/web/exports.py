"""What leaves this program for others to keep: limited time for accounting, a tenant's data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from controller.cases import dossier
from controller.cases.limited import LimitedInterval, intervals, totals
from controller.storage import stood
from controller.tenants import Tenant
from controller.web.errors import Refused
from controller.web.export_messages import (
    LimitedAnswer,
    LimitedQuery,
    LimitedTime,
    LimitedTotal,
    TenantExport,
)
from controller.web.query import read_query
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import JSON_CONTENT_TYPE, MessageError


async def export_limited(request: web.Request) -> web.Response:
    """When tenants were limited or suspended, as far as their hosts have confirmed it. What a host
    never confirmed limited nobody. A limit is gone from its host with the next report after its
    end, or at its lease."""
    services, query = request.app[SERVICES], read_query(request, LimitedQuery)
    start, end = query.begins.timestamp(), query.ends.timestamp()
    if end <= start:
        raise MessageError(
            f"to: expected a time after from ({_iso(query.begins)}), found {_iso(query.ends)}"
        )
    async with services.database.read() as connection:
        rows = await stood.between(connection, start, end, query.tenant)
    now = services.clock()
    found = intervals(rows, start, end, now=now)
    answer = LimitedAnswer(
        at=instant(now),
        begins=query.begins.astimezone(UTC),
        ends=query.ends.astimezone(UTC),
        intervals=tuple(limited_time(each) for each in found),
        totals=tuple(LimitedTotal(**vars(total)) for total in totals(found)),
    )
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


async def export_tenant(request: web.Request) -> web.Response:
    """Everything that is kept of one tenant, complete and readable, for the tenant to have."""
    services, tenant = request.app[SERVICES], request.match_info["tenant"]
    now = services.clock()
    listed = services.directory.tenant(tenant)
    async with services.database.read() as connection:
        answer = TenantExport(
            at=instant(now),
            tenant=tenant,
            listed=None if listed is None else _without_secrets(listed),
            cases=tuple(await dossier.cases_of(connection, tenant)),
            agreements=tuple(
                dossier.agreement_records(
                    each for each in services.desk.agreements.every() if each.tenant == tenant
                )
            ),
            announcements=tuple(await dossier.announcements_of(connection, tenant)),
            habits=tuple(await dossier.habits_of(connection, tenant)),
            limited=tuple(
                limited_time(each) for each in await dossier.limited_of(connection, tenant, now=now)
            ),
        )
    if listed is None and not (answer.cases or answer.agreements or answer.habits):
        raise Refused(404, f'tenant: expected one of whom something is kept, found "{tenant}"')
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


def _without_secrets(listed: Tenant) -> dict[str, Any]:
    """Where the provider keeps a webhook's secret is nobody else's business."""
    told: dict[str, Any] = msgspec.to_builtins(listed)
    for contact in told["contacts"]:
        del contact["webhook_secret_file"]
    return told


def limited_time(each: LimitedInterval) -> LimitedTime:
    """One interval as it is exported."""
    return LimitedTime(
        tenant=each.tenant,
        host=each.host,
        held=each.held,
        begins=instant(each.start),
        until=instant(each.end),
        seconds=each.end - each.start,
        goes_on=each.goes_on,
        allowance=each.allowance,
        ordered_by=each.ordered_by or None,
        case=each.case_id,
        order=each.order,
    )


def instant(at: float) -> datetime:
    """Seconds since the epoch as the time that they are, UTC."""
    return datetime.fromtimestamp(at, UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


ROUTES = (
    Route(
        "GET",
        "/api/v1/exports/limited",
        export_limited,
        "viewer",
        "When tenants were limited or suspended, for service-level accounting",
        response=LimitedAnswer,
        query=LimitedQuery,
    ),
    Route(
        "GET",
        "/api/v1/exports/tenants/{tenant}",
        export_tenant,
        "operator",
        "Everything that is kept of one tenant",
        response=TenantExport,
    ),
)
