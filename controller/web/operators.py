"""What operators and their tools call: what is going on, and the switches of the whole fleet."""

from __future__ import annotations

import heapq
from typing import TypeVar

import msgspec
from aiohttp import web

from controller.cases.desk import UnknownCase
from controller.cases.model import Case
from controller.fairshare.sentence import sentence
from controller.storage import mails, notices, orders, tokens, tries
from controller.storage.notices import NoticeRow
from controller.storage.orders import OrderRow
from controller.storage.told import DeliveryTry
from controller.web.auth import CALLER
from controller.web.errors import Refused
from controller.web.messages import (
    CaseAnswer,
    CaseLine,
    CaseList,
    CaseQuery,
    EnrolmentTokenAnswer,
    EnrolmentTokenRequest,
    HostAnswer,
    HostList,
    HostQuery,
    Notice,
    PauseAnswer,
    ReasonRequest,
    StandingOrder,
    TenantAnswer,
    TenantList,
    TenantQuery,
    case_line,
    heaviest,
    host_line,
)
from controller.web.query import read_query
from controller.web.routes import Route
from controller.web.services import SERVICES, Services
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message, MessageError, decode_with

RequestType = TypeVar("RequestType")


_CASES_OF_TENANT = 100
_reason_decoder = msgspec.json.Decoder(ReasonRequest)
_enrolment_decoder = msgspec.json.Decoder(EnrolmentTokenRequest)


async def list_hosts(request: web.Request) -> web.Response:
    """Hosts, those heard from last first."""
    services, query = request.app[SERVICES], read_query(request, HostQuery)
    newest = sorted(services.desk.hosts(), key=lambda view: view.last_report_at, reverse=True)
    lines = tuple(host_line(view) for view in newest[: query.limit])
    return _answer(HostList(at=services.clock(), hosts=lines))


async def show_host(request: web.Request) -> web.Response:
    """One host with its tenants."""
    services, name = request.app[SERVICES], request.match_info["host"]
    for view in services.desk.hosts():
        if view.host == name:
            return _answer(HostAnswer(at=services.clock(), host=view))
    raise Refused(
        404, f'host: expected one that has reported since the controller started, found "{name}"'
    )


async def list_tenants(request: web.Request) -> web.Response:
    """Tenants, the heaviest first."""
    services, query = request.app[SERVICES], read_query(request, TenantQuery)
    places = (
        place
        for view in services.desk.hosts()
        if query.host in (None, view.host)
        for place in view.tenants
    )
    first = heapq.nlargest(query.limit, places, key=lambda place: heaviest(place)[0])
    return _answer(TenantList(at=services.clock(), tenants=tuple(first)))


async def show_tenant(request: web.Request) -> web.Response:
    """One tenant wherever it is, with its cases."""
    services, name = request.app[SERVICES], request.match_info["tenant"]
    places = tuple(
        place for view in services.desk.hosts() for place in view.tenants if place.tenant == name
    )
    cases = await services.desk.cases(tenant=name, limit=_CASES_OF_TENANT)
    if not places and not cases:
        raise Refused(
            404, f'tenant: expected one that is on a host or has had a case, found "{name}"'
        )
    lines = tuple(_line(case) for case in cases)
    return _answer(TenantAnswer(at=services.clock(), tenant=name, places=places, cases=lines))


async def list_cases(request: web.Request) -> web.Response:
    """Cases, newest first."""
    services, query = request.app[SERVICES], read_query(request, CaseQuery)
    cases = await services.desk.cases(
        state=query.state, host=query.host, tenant=query.tenant, limit=query.limit
    )
    return _answer(CaseList(at=services.clock(), cases=tuple(_line(case) for case in cases)))


async def show_case(request: web.Request) -> web.Response:
    """One case with its evidence, its history, its notices and its limit."""
    services, case_id = request.app[SERVICES], request.match_info["case"]
    case = await services.desk.case(case_id)
    if case is None:
        raise UnknownCase(f'case: expected the id of one in /api/v1/cases, found "{case_id}"')
    return await case_answer(services, case)


async def show_pause(request: web.Request) -> web.Response:
    """Whether enforcement is paused."""
    return _pause_answer(request.app[SERVICES])


async def pause(request: web.Request) -> web.Response:
    """Stop all enforcement, lift every limit."""
    services, wanted = request.app[SERVICES], await _body(request, _reason_decoder)
    await services.desk.pause(by=request[CALLER].name, reason=wanted.reason)
    return _pause_answer(services)


async def resume(request: web.Request) -> web.Response:
    """Let limits start again."""
    services, wanted = request.app[SERVICES], await _body(request, _reason_decoder)
    await services.desk.resume(by=request[CALLER].name, reason=wanted.reason)
    return _pause_answer(services)


async def make_enrolment_token(request: web.Request) -> web.Response:
    """Let a host enrol once."""
    services, wanted = request.app[SERVICES], await _body(request, _enrolment_decoder)
    token = tokens.new_secret()
    expires_at = services.clock() + services.settings.enrolment_valid
    try:
        async with services.database.write() as connection:
            await tokens.add_enrolment_token(
                connection, token=token, host=wanted.host, expires_at=expires_at
            )
    except ValueError as error:
        raise MessageError(f"host: {error}") from error
    answer = EnrolmentTokenAnswer(host=wanted.host, token=token, expires_at=expires_at)
    response = _answer(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _body(request: web.Request, decoder: msgspec.json.Decoder[RequestType]) -> RequestType:
    return decode_with(decoder, await request.read())


async def case_answer(services: Services, case: Case) -> web.Response:
    """The case as it is now, with all that is known of it."""
    async with services.database.read() as connection:
        written = await notices.of_case(connection, case.id)
        returned = await mails.of_case(connection, case.id)
        tried = await tries.of_case(connection, case.id)
        ordered = await orders.of_case(connection, case.id)
    return _answer(
        CaseAnswer(
            at=services.clock(),
            sentence=_sentence(case),
            case=case,
            timeline=tuple(await services.desk.timeline(case.id)),
            notices=tuple(_notice(row, tried) for row in written),
            mails=tuple(returned),
            order=_standing_order(case, ordered),
            agreements=services.desk.agreements.in_force(case.tenant, case.host, services.clock()),
        )
    )


def _standing_order(case: Case, rows: list[OrderRow]) -> StandingOrder | None:
    for row in rows:
        if case.limit is not None and row.id == case.limit.order:
            return StandingOrder(
                id=row.id,
                issued_at=row.issued_at,
                lease_until=row.lease_until,
                allowance=case.limit.allowance,
                fair_share=case.limit.fair_share,
                notice=row.notice_id,
                ordered_by=row.ordered_by,
                reason=row.reason,
            )
    return None


def _notice(row: NoticeRow, tried: list[DeliveryTry]) -> Notice:
    return Notice(
        id=row.id,
        kind=row.kind,
        queued_at=row.queued_at,
        tries=row.tries,
        next_try_at=row.next_try_at,
        accepted_at=row.accepted_at,
        failed_at=row.failed_at,
        channel=row.channel,
        answer=row.answer,
        letter=row.letter,
        deliveries=tuple(each for each in tried if each.letter == row.letter),
    )


def _line(case: Case) -> CaseLine:
    return case_line(case, _sentence(case))


def _sentence(case: Case) -> str:
    return sentence(case.verdict, whose=case.tenant)


def _pause_answer(services: Services) -> web.Response:
    return _answer(PauseAnswer(at=services.clock(), paused=services.desk.paused))


def _answer(message: Message) -> web.Response:
    return web.Response(body=msgspec.json.encode(message), content_type=JSON_CONTENT_TYPE)


_API = "/api/v1"
ROUTES = (
    Route(
        "GET",
        f"{_API}/hosts",
        list_hosts,
        "viewer",
        "Hosts, those heard from last first",
        response=HostList,
        query=HostQuery,
    ),
    Route(
        "GET",
        f"{_API}/hosts/{{host}}",
        show_host,
        "viewer",
        "One host with its resources and its tenants",
        response=HostAnswer,
    ),
    Route(
        "GET",
        f"{_API}/tenants",
        list_tenants,
        "viewer",
        "Tenants, those that use most of their fair share first",
        response=TenantList,
        query=TenantQuery,
    ),
    Route(
        "GET",
        f"{_API}/tenants/{{tenant}}",
        show_tenant,
        "viewer",
        "One tenant on all its hosts, with its cases",
        response=TenantAnswer,
    ),
    Route(
        "GET",
        f"{_API}/cases",
        list_cases,
        "viewer",
        "Cases, newest first",
        response=CaseList,
        query=CaseQuery,
    ),
    Route(
        "GET",
        f"{_API}/cases/{{case}}",
        show_case,
        "viewer",
        "One case with its evidence, history, notices and limit",
        response=CaseAnswer,
    ),
    Route(
        "GET",
        f"{_API}/pause",
        show_pause,
        "viewer",
        "Whether all enforcement is paused",
        response=PauseAnswer,
    ),
    Route(
        "POST",
        f"{_API}/pause",
        pause,
        "operator",
        "Stop all enforcement and lift every limit",
        request=ReasonRequest,
        response=PauseAnswer,
    ),
    Route(
        "POST",
        f"{_API}/resume",
        resume,
        "operator",
        "Let limits start again",
        request=ReasonRequest,
        response=PauseAnswer,
    ),
    Route(
        "POST",
        f"{_API}/enrolment-tokens",
        make_enrolment_token,
        "operator",
        "Make a one-time token for a host to enrol with",
        request=EnrolmentTokenRequest,
        response=EnrolmentTokenAnswer,
    ),
)
