"""What an operator decides about one case, by name and with a reason."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import msgspec
from aiohttp import web

from controller.cases.model import Case
from controller.web.auth import CALLER
from controller.web.messages import CaseAnswer, ReasonRequest, SuspendRequest
from controller.web.operators import case_answer
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import decode_with

_API = "/api/v1"
_reason_decoder = msgspec.json.Decoder(ReasonRequest)
_suspend_decoder = msgspec.json.Decoder(SuspendRequest)


class OperatorStep(Protocol):
    """A step of the desk that a person takes."""

    def __call__(self, case_id: str, *, by: str, reason: str) -> Awaitable[Case]: ...


async def approve_case(request: web.Request) -> web.Response:
    """Order a limit by name, whether or not the deadline has passed."""
    return await _step(request, request.app[SERVICES].desk.approve)


async def dismiss_case(request: web.Request) -> web.Response:
    """Close a case, and open no other about the same for a while."""
    return await _step(request, request.app[SERVICES].desk.dismiss)


async def hold_case(request: web.Request) -> web.Response:
    """Let nothing happen to a case until an operator decides."""
    return await _step(request, request.app[SERVICES].desk.hold)


async def release_case(request: web.Request) -> web.Response:
    """Let a held case go on by itself: the customer is written to if nobody has reached them."""
    return await _step(request, request.app[SERVICES].desk.release)


async def lift_case(request: web.Request) -> web.Response:
    """End a case's limit now."""
    return await _step(request, request.app[SERVICES].desk.lift)


async def suspend_case(request: web.Request) -> web.Response:
    """Have a case's tenant frozen, briefly."""
    services, wanted = request.app[SERVICES], decode_with(_suspend_decoder, await request.read())
    case = await services.desk.suspend(
        request.match_info["case"],
        by=request[CALLER].name,
        reason=wanted.reason,
        seconds=wanted.seconds,
    )
    return await case_answer(services, case)


async def thaw_case(request: web.Request) -> web.Response:
    """End a case's suspension now."""
    return await _step(request, request.app[SERVICES].desk.thaw)


async def _step(request: web.Request, take: OperatorStep) -> web.Response:
    wanted = decode_with(_reason_decoder, await request.read())
    case = await take(request.match_info["case"], by=request[CALLER].name, reason=wanted.reason)
    return await case_answer(request.app[SERVICES], case)


ROUTES = (
    *(
        Route(
            "POST",
            f"{_API}/cases/{{case}}/{name}",
            handler,
            "operator",
            summary,
            request=ReasonRequest,
            response=CaseAnswer,
        )
        for name, handler, summary in (
            ("approve", approve_case, "Order a limit by name"),
            ("dismiss", dismiss_case, "Close the case, and open no other for a while"),
            ("hold", hold_case, "Let nothing happen until an operator decides"),
            ("release", release_case, "Let a held case go on by itself"),
            ("lift", lift_case, "End the case's limit now"),
            ("thaw", thaw_case, "End the suspension of the case's tenant now"),
        )
    ),
    Route(
        "POST",
        f"{_API}/cases/{{case}}/suspend",
        suspend_case,
        "operator",
        "Have everything of the case's tenant frozen, briefly",
        request=SuspendRequest,
        response=CaseAnswer,
    ),
)
