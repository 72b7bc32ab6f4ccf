"""What customers ask for in their cases, decided by operators."""

from __future__ import annotations

import msgspec
from aiohttp import web

from controller.cases import granting
from controller.cases.requests import Decision
from controller.web.auth import CALLER
from controller.web.messages import CaseAnswer, GrantRequest, RefuseRequest
from controller.web.operators import case_answer
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import decode_with

_grant_decoder = msgspec.json.Decoder(GrantRequest)
_refuse_decoder = msgspec.json.Decoder(RefuseRequest)


async def grant_request(request: web.Request) -> web.Response:
    """Grant what the customer asks for. An agreement or a consent is recorded with it."""
    services, wanted = request.app[SERVICES], decode_with(_grant_decoder, await request.read())
    decision = Decision(
        by=request[CALLER].name,
        reason=wanted.reason,
        ends_at=wanted.ends_at,
        share=wanted.share,
        exempt=wanted.exempt,
    )
    case_id = request.match_info["case"]
    case = await granting.grant(services.desk, case_id, wanted.request, decision)
    return await case_answer(services, case)


async def refuse_request(request: web.Request) -> web.Response:
    """Refuse what the customer asks for."""
    services, wanted = request.app[SERVICES], decode_with(_refuse_decoder, await request.read())
    decision = Decision(by=request[CALLER].name, reason=wanted.reason)
    case_id = request.match_info["case"]
    case = await granting.refuse(services.desk, case_id, wanted.request, decision)
    return await case_answer(services, case)


_CASE = "/api/v1/cases/{case}"
ROUTES = (
    Route(
        "POST",
        f"{_CASE}/grant",
        grant_request,
        "operator",
        "Grant what the customer asks for in the case",
        request=GrantRequest,
        response=CaseAnswer,
    ),
    Route(
        "POST",
        f"{_CASE}/refuse",
        refuse_request,
        "operator",
        "Refuse what the customer asks for in the case",
        request=RefuseRequest,
        response=CaseAnswer,
    ),
)
