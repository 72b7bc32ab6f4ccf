"""What a rollout asks: whether to go on to the next ring; and how a host's credential is ended."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable

import msgspec
from aiohttp import web

from controller.cases.model import Case
from controller.cases.rings import Ring
from controller.cases.views import HostView
from controller.storage import tokens
from controller.web.auth import CALLER
from controller.web.errors import Refused
from controller.web.gate_messages import GateAnswer, RingLine
from controller.web.messages import ReasonRequest
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message, decode_with

SILENT_INTERVALS = 4
"""A host that has not reported for so many of its intervals is silent."""
SILENT_SECONDS = 60.0
"""But no sooner than this: an agent that is restarted is away for a moment."""

_log = logging.getLogger(__name__)
_reason_decoder = msgspec.json.Decoder(ReasonRequest)


class RevokeAnswer(Message):
    """The host's credential is good no more."""

    host: str


def reasons_to_stop(
    hosts: Iterable[HostView], held: Iterable[Case], problems: Iterable[str], *, now: float
) -> tuple[str, ...]:
    """Why a rollout should not go on, in words; empty when it may.

    `problems` are files that could not be used. Held cases count where a machine is the reason:
    what a customer disputes is no fault of a rollout.
    """
    reasons = list(problems)
    for view in hosts:
        patience = max(SILENT_SECONDS, SILENT_INTERVALS * view.interval_seconds)
        if now - view.last_report_at > patience:
            silent_seconds = now - view.last_report_at
            reasons.append(f"{view.host} has not reported for {silent_seconds:.0f} s")
    reasons += [
        f"case {case.id} of {case.tenant} on {case.host} is held: {case.held_because}"
        for case in held
        if not case.is_disputed
    ]
    return tuple(reasons)


async def show_gate(request: web.Request) -> web.Response:
    """Whether a rollout may go on to its next ring."""
    services = request.app[SERVICES]
    desk, now = services.desk, services.clock()
    views, held = desk.hosts(), await desk.cases(state="held")
    answer = GateAnswer(
        at=now,
        version=importlib.metadata.version("fairuse"),
        mode=desk.modes.most,
        paused=desk.paused,
        rings=tuple(map(_ring_line, desk.modes.rings)),
        hosts=len(views),
        tenants=len({place.tenant for view in views for place in view.tenants}),
        held=len(held),
        problems=services.problems,
        reasons=reasons_to_stop(views, held, services.problems, now=now),
    )
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


def _ring_line(ring: Ring) -> RingLine:
    return RingLine(name=ring.name, mode=ring.mode, hosts=ring.hosts)


async def revoke_host(request: web.Request) -> web.Response:
    """End a host's credential at once."""
    services, name = request.app[SERVICES], request.match_info["host"]
    wanted = decode_with(_reason_decoder, await request.read())
    async with services.database.write() as connection:
        revoked = await tokens.revoke_host(connection, name, services.clock())
    if not revoked:
        raise Refused(404, f'host: expected one with a good credential, found "{name}"')
    await services.credentials.refresh()
    by = request[CALLER].name
    _log.info("host %s: its credential was revoked by %s: %r", name, by, wanted.reason)
    answer = RevokeAnswer(host=name)
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


ROUTES = (
    Route(
        "GET",
        "/api/v1/gate",
        show_gate,
        "viewer",
        "Whether a rollout may go on, and why not",
        response=GateAnswer,
    ),
    Route(
        "POST",
        "/api/v1/hosts/{host}/revoke",
        revoke_host,
        "operator",
        "Make a host's credential good no more",
        request=ReasonRequest,
        response=RevokeAnswer,
    ),
)
