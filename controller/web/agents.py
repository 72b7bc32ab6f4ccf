"""What agents call: enrolment, and reports that are answered with the host's limits."""

from __future__ import annotations

import msgspec
from aiohttp import web

from controller.storage import tokens
from controller.storage.reports import ReportRow
from controller.web.auth import CALLER
from controller.web.errors import Refused
from controller.web.intake import IntakeFull, IntakeStopped
from controller.web.routes import Route
from controller.web.services import SERVICES, Services
from fairuse_protocol.limits import EnrolAnswer, EnrolRequest, ReportAnswer
from fairuse_protocol.messages import (
    JSON_CONTENT_TYPE,
    MSGPACK_CONTENT_TYPE,
    MessageError,
    decode_with,
)
from fairuse_protocol.reports import Report, decode_report, encode_report

MAX_AHEAD_SECONDS = 300.0
"""How far a host's clock may run ahead of ours before its times mean nothing."""
_RETRY_AFTER_SECONDS = 2

_answer_encoder = msgspec.json.Encoder()
_enrol_decoder = msgspec.json.Decoder(EnrolRequest)


async def report(request: web.Request) -> web.Response:
    """Make a report durable, apply the rule, and answer what limits the host should hold."""
    services = request.app[SERVICES]
    host = request[CALLER].name
    received, body = await _read_report(request)
    _check_report(received, host, now=services.clock())
    seen = services.desk.see(received)
    row = ReportRow(
        host, received.spool, received.sequence, received.started_at + received.seconds, body
    )
    del received  # It is large, and would wait with hundreds of others for the disk.
    if await _store(services, row):
        await services.desk.observe(seen)
    now = services.clock()
    answer = ReportAnswer(
        spool=row.spool,
        acknowledged_sequence=row.sequence,
        limits=services.desk.limits_for(host, now),
        suspensions=services.desk.suspensions_for(host, now),
    )
    return web.Response(body=_answer_encoder.encode(answer), content_type=JSON_CONTENT_TYPE)


async def _read_report(request: web.Request) -> tuple[Report, bytes]:
    """The report, and the form of it that is stored."""
    body = await request.read()
    match request.content_type:
        case "application/msgpack":
            return decode_report(body), body
        case "application/json":
            received = decode_report(body, json=True)
            return received, encode_report(received)
    raise Refused(
        415,
        f"Content-Type: expected {MSGPACK_CONTENT_TYPE} or {JSON_CONTENT_TYPE}, "
        f"found {request.content_type}",
    )


def _check_report(received: Report, host: str, *, now: float) -> None:
    if received.host != host:
        raise Refused(
            403,
            f'host: expected "{host}", which this credential belongs to, found "{received.host}"',
        )
    ended_at = received.started_at + received.seconds
    if not 0 < ended_at <= now + MAX_AHEAD_SECONDS:
        raise MessageError(
            f"started_at: expected an interval that ended at most {MAX_AHEAD_SECONDS:g} s after "
            f"the controller's time {now:.0f}, found one that ended at {ended_at:.0f}; "
            "set the host's clock"
        )


async def _store(services: Services, row: ReportRow) -> bool:
    try:
        return await services.intake.store(row)
    except IntakeFull:
        reason = "more reports are waiting than can be stored; keep this one and send it again"
    except IntakeStopped:
        reason = "the controller is stopping; keep this report and send it again"
    raise Refused(503, reason, {"Retry-After": str(_RETRY_AFTER_SECONDS)})


async def enrol(request: web.Request) -> web.Response:
    """Give a host its credential for a one-time token."""
    services = request.app[SERVICES]
    wanted = decode_with(_enrol_decoder, await request.read())
    credential = tokens.new_secret()
    try:
        async with services.database.write() as connection:
            await tokens.enrol(
                connection,
                host=wanted.host,
                token=wanted.token,
                credential=credential,
                now=services.clock(),
            )
    except tokens.EnrolmentRefused as error:
        raise Refused(403, f"token: {error}") from error
    await services.credentials.refresh()
    answer = EnrolAnswer(host=wanted.host, credential=credential)
    return web.Response(
        body=_answer_encoder.encode(answer),
        content_type=JSON_CONTENT_TYPE,
        headers={"Cache-Control": "no-store"},
    )


ROUTES = (
    Route(
        "POST",
        "/agent/v1/reports",
        report,
        "agent",
        "Store a report (application/msgpack or JSON) and get the limits to hold",
        request=Report,
        response=ReportAnswer,
    ),
    Route(
        "POST",
        "/agent/v1/enrol",
        enrol,
        "public",
        "Exchange a one-time enrolment token for the host's credential",
        request=EnrolRequest,
        response=EnrolAnswer,
    ),
)
