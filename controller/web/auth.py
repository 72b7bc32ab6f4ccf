"""Who is calling, and whether they may. Hosts and people have separate credentials.

Programs send `Authorization: Bearer TOKEN`. Pages also take HTTP Basic with the token as the
password; the API does not, because a browser sends Basic along with what other sites make it do.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from aiohttp import web

from controller.storage import tokens
from controller.web.errors import Refused
from controller.web.routes import ACCEPTED, Route, is_page
from controller.web.services import SERVICES


@dataclass(frozen=True)
class Caller:
    """Who calls: an API token's name and role, or a host."""

    name: str
    role: tokens.ApiRole | None
    """None: a host, which speaks for itself only (promise 6)."""


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
"""Set on every request to a route that is not public."""


async def authorise(request: web.Request, route: Route) -> None:
    """Set the request's caller, or refuse it."""
    if route.role == "public":
        return
    secret = _secret(request)
    if secret is None:
        raise _unknown(request, "expected one in the Authorization header, found none")
    if route.role == "agent":
        host = await request.app[SERVICES].credentials.host_of(secret)
        if host is None:
            raise _unknown(request, "expected a host's credential; enrol the host again")
        request[CALLER] = Caller(host, None)
        return
    async with request.app[SERVICES].database.read() as connection:
        token = await tokens.api_token(connection, secret)
    if token is None:
        raise _unknown(
            request,
            "expected an API token; make one with: "
            "fairuse-controller token --role viewer|operator|directory --name NAME",
        )
    if token.role not in ACCEPTED[route.role]:
        expected = " or ".join(ACCEPTED[route.role])
        raise Refused(
            403,
            f'expected the role {expected}, found that "{token.name}" has {token.role}',
        )
    request[CALLER] = Caller(token.name, token.role)


def _secret(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer":
            return value or None
        case "basic" if is_page(request.path):
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2] or None
            except (binascii.Error, UnicodeDecodeError):
                return None
    return None


def _unknown(request: web.Request, reason: str) -> Refused:
    scheme = "Basic" if is_page(request.path) else "Bearer"
    return Refused(401, f"credential: {reason}", {"WWW-Authenticate": f'{scheme} realm="Fairuse"'})
