"""What leaves this program for others to keep: limited time, for service-level accounting."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiohttp import web

from controller.cases.limited import LimitedInterval, intervals, totals
from controller.storage import stood
from controller.web.export_messages import (
    LimitedAnswer,
    LimitedQuery,
    LimitedTime,
    LimitedTotal,
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
)
