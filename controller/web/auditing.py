"""The audit of all cases' histories, for whoever may look."""

from __future__ import annotations

import msgspec
from aiohttp import web

from controller.storage.audit import audit
from controller.web.messages import AuditAnswer, AuditFault, AuditQuery
from controller.web.query import read_query
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import JSON_CONTENT_TYPE


async def audit_histories(request: web.Request) -> web.Response:
    """Read all histories and say whether they are as they were written. Takes a second or so for
    each hundred thousand lines."""
    services, query = request.app[SERVICES], read_query(request, AuditQuery)
    async with services.database.read() as connection:
        found = await audit(connection, bytes.fromhex(query.link) if query.link else None)
    answer = AuditAnswer(
        at=services.clock(),
        lines=found.lines,
        erased=found.erased,
        link=found.head.hex(),
        faults=tuple(
            AuditFault(
                finding=fault.finding, line=fault.line, case=fault.case_id, written_at=fault.at
            )
            for fault in found.faults
        ),
    )
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


ROUTES = (
    Route(
        "GET",
        "/api/v1/audit",
        audit_histories,
        "viewer",
        "Whether all cases' histories are as they were written",
        response=AuditAnswer,
        query=AuditQuery,
    ),
)
