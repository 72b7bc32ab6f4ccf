"""What tenants were told that is about no case, for whoever may look."""

from __future__ import annotations

import msgspec
from aiohttp import web

from controller.cases.model import AnnouncementKind
from controller.storage import announcements
from controller.storage.announcements import AnnouncementRow
from controller.web.messages import AnnouncementLine, AnnouncementList, AnnouncementQuery
from controller.web.query import read_query
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import JSON_CONTENT_TYPE


async def list_announcements(request: web.Request) -> web.Response:
    """Letters about changes of policies and ends of agreements, the last queued first, with what
    became of each."""
    services, query = request.app[SERVICES], read_query(request, AnnouncementQuery)
    async with services.database.read() as connection:
        rows = await announcements.listed(connection, tenant=query.tenant, limit=query.limit)
    answer = AnnouncementList(at=services.clock(), announcements=tuple(map(_line, rows)))
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


def _line(row: AnnouncementRow) -> AnnouncementLine:
    return AnnouncementLine(
        id=row.id,
        tenant=row.tenant,
        kind=msgspec.convert(row.kind, AnnouncementKind),
        about=row.about,
        queued_at=row.queued_at,
        tries=row.tries,
        next_try_at=row.next_try_at,
        accepted_at=row.accepted_at,
        failed_at=row.failed_at,
        channel=row.channel,
        answer=row.answer,
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/announcements",
        list_announcements,
        "viewer",
        "What tenants were told of policies and agreements",
        response=AnnouncementList,
        query=AnnouncementQuery,
    ),
)
