"""An operator has everything about a tenant erased."""

from __future__ import annotations

import msgspec
from aiohttp import web

from controller.web.auth import CALLER
from controller.web.errors import Refused
from controller.web.messages import ForgottenAnswer, ReasonRequest
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import JSON_CONTENT_TYPE, decode_with

_reason_decoder = msgspec.json.Decoder(ReasonRequest)


async def forget_tenant(request: web.Request) -> web.Response:
    """Erase a tenant's closed cases, agreements, habits and announcements. Refused while a case is
    open or a notice on its way. The reason stays on record, so it should name nobody. What hosts
    have reported goes with `keep_reports`."""
    services, tenant = request.app[SERVICES], request.match_info["tenant"]
    wanted = decode_with(_reason_decoder, await request.read())
    erased = await services.eraser.forget(tenant, by=request[CALLER].name, reason=wanted.reason)
    if not (erased.cases or erased.others):
        raise Refused(404, f'tenant: expected one of whom something is kept, found "{tenant}"')
    answer = ForgottenAnswer(
        at=services.clock(), tenant=tenant, cases=erased.cases, others=erased.others
    )
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


ROUTES = (
    Route(
        "POST",
        "/api/v1/tenants/{tenant}/forget",
        forget_tenant,
        "operator",
        "Erase everything about a tenant",
        request=ReasonRequest,
        response=ForgottenAnswer,
    ),
)
