"""Every error of the server says what was expected, what was found and what to do.

Programs get it as JSON {"error": "..."}, people as a plain page.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping

import msgspec
from aiohttp import web

from controller.cases.agreements import AgreementOver, UnknownAgreement
from controller.cases.desk import UnknownCase
from controller.cases.steps import CaseRefused
from controller.contact.sources.pushed import NotAsExpected, NothingPushed
from controller.web.routes import Handler, is_page
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message, MessageError

_log = logging.getLogger(__name__)

PAGE_HEADERS = {
    # Our own style sheet, icon and script, nothing inline or from anywhere else, in nobody's frame.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}

_STATUS_OF: dict[type[Exception], int] = {
    MessageError: 400,
    UnknownCase: 404,
    UnknownAgreement: 404,
    CaseRefused: 409,
    NothingPushed: 404,
    AgreementOver: 409,
    NotAsExpected: 412,
}


class ErrorAnswer(Message):
    """What every error answers."""

    error: str


class Refused(Exception):
    """A request that is not carried out: its status and why."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into an answer."""
    try:
        return await handler(request)
    except Refused as refused:
        return error_response(request, refused.status, refused.reason, refused.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {key: error.headers[key] for key in ("Allow",) if key in error.headers}
        return error_response(request, error.status, _explained(request, error), headers)
    except tuple(_STATUS_OF) as error:
        return error_response(request, _STATUS_OF[type(error)], str(error))
    except Exception:  # noqa: BLE001 - logged, and answered without what it was
        _log.exception("%s %s failed", request.method, _loggable(request.path))
        return error_response(
            request, 500, "the controller failed to do this; its log says why. Try again later."
        )


def error_response(
    request: web.Request, status: int, reason: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer in the form that the caller can use."""
    if is_page(request.path):
        return web.Response(
            status=status,
            text=_PAGE.format(reason=html.escape(reason)),
            content_type="text/html",
            headers={**PAGE_HEADERS, **(headers or {})},
        )
    return web.Response(
        status=status,
        body=msgspec.json.encode(ErrorAnswer(error=reason)),
        content_type=JSON_CONTENT_TYPE,
        headers=headers,
    )


def _explained(request: web.Request, error: web.HTTPException) -> str:
    match error:
        case web.HTTPNotFound():
            return f"there is nothing at {request.path}; /openapi.json lists what there is"
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return f"{request.path} takes {allowed}, found {request.method}"
    return error.text or error.reason


def _loggable(path: str) -> str:
    """A customer's link is a secret, and stays out of the log."""
    return "/c/..." if path.startswith("/c/") else path


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fairuse</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>That did not work</h1><p>{reason}</p></main></body></html>
"""
