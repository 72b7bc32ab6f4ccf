"""Agreements with customers, as operators record, look up and withdraw them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from controller.fairshare.agreement import Agreement, AgreementTerms
from controller.web.auth import CALLER
from controller.web.messages import (
    AgreementAnswer,
    AgreementList,
    AgreementQuery,
    ReasonRequest,
)
from controller.web.query import read_query
from controller.web.routes import Route
from controller.web.services import SERVICES, Services
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message, decode_with

_terms_decoder = msgspec.json.Decoder(AgreementTerms)
_reason_decoder = msgspec.json.Decoder(ReasonRequest)


async def list_agreements(request: web.Request) -> web.Response:
    """Agreements and consents, those that are over too, the last recorded first."""
    services, query = request.app[SERVICES], read_query(request, AgreementQuery)
    found = services.desk.agreements.listed(tenant=query.tenant, limit=query.limit)
    return _json(AgreementList(at=services.clock(), agreements=tuple(found)))


async def record_agreement(request: web.Request) -> web.Response:
    """Record what was agreed with a customer. It counts from the hosts' next reports on; an open
    case about use that it covers is closed, and a limit that stands is lifted."""
    services = request.app[SERVICES]
    terms = decode_with(_terms_decoder, await request.read())
    recorded = await services.desk.agreements.record(terms, by=request[CALLER].name)
    return _answer(services, recorded)


async def withdraw_agreement(request: web.Request) -> web.Response:
    """End an agreement now. It stays on record, with who withdrew it and why."""
    services, agreement_id = request.app[SERVICES], request.match_info["agreement"]
    wanted = decode_with(_reason_decoder, await request.read())
    withdrawn = await services.desk.agreements.withdraw(
        agreement_id, by=request[CALLER].name, reason=wanted.reason
    )
    return _answer(services, withdrawn)


def _answer(services: Services, agreement: Agreement) -> web.Response:
    return _json(AgreementAnswer(at=services.clock(), agreement=agreement))


def _json(message: Message) -> web.Response:
    return web.Response(body=msgspec.json.encode(message), content_type=JSON_CONTENT_TYPE)


_PATH = "/api/v1/agreements"
ROUTES = (
    Route(
        "GET",
        _PATH,
        list_agreements,
        "viewer",
        "Agreements and consents, the last recorded first",
        response=AgreementList,
        query=AgreementQuery,
    ),
    Route(
        "POST",
        _PATH,
        record_agreement,
        "operator",
        "Record an agreement or a consent",
        request=AgreementTerms,
        response=AgreementAnswer,
    ),
    Route(
        "POST",
        f"{_PATH}/{{agreement}}/withdraw",
        withdraw_agreement,
        "operator",
        "End an agreement now",
        request=ReasonRequest,
        response=AgreementAnswer,
    ),
)
