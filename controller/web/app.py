"""Puts the areas' routes together into one application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec
from aiohttp import hdrs, web

from controller.web import (
    agents,
    agreements,
    announcing,
    auditing,
    customer,
    deciding,
    exports,
    forgetting,
    health,
    openapi,
    operators,
    requests,
    rollout,
    status,
    tenants,
)
from controller.web.auth import authorise
from controller.web.errors import PAGE_HEADERS, Refused, explain_errors
from controller.web.routes import Route
from controller.web.services import SERVICES, Services

MAX_REPORT_BYTES = 4 * 2**20
"""A report of 3,000 tenants with several disks each fits twice."""
BODY_SECONDS = 30.0
"""A body that takes longer to arrive is given up: whoever sends it holds memory meanwhile."""

ROUTES: tuple[Route, ...] = (
    *agents.ROUTES,
    *operators.ROUTES,
    *deciding.ROUTES,
    *requests.ROUTES,
    *agreements.ROUTES,
    *announcing.ROUTES,
    *tenants.ROUTES,
    *auditing.ROUTES,
    *exports.ROUTES,
    *forgetting.ROUTES,
    *rollout.ROUTES,
    *customer.ROUTES,
    *status.ROUTES,
    *openapi.ROUTES,
    *health.ROUTES,
)


def build_app(services: Services, routes: Iterable[Route] = ROUTES) -> web.Application:
    """The whole server but its sockets."""
    routes = tuple(routes)
    app = web.Application(middlewares=[explain_errors], client_max_size=MAX_REPORT_BYTES)
    app[SERVICES] = services
    app[openapi.DOCUMENT] = msgspec.json.encode(openapi.document(routes))
    for route in routes:
        handler = _guarded(route)
        app.router.add_route(route.method, route.path, handler)
    app.router.add_static("/static", Path(__file__).with_name("static"))
    return app


def _guarded(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The route's handler behind its role, its body's limits and, for pages, its headers."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await authorise(request, route)
        if request.body_exists:
            await _read_body(request, route)
        response = await route.handler(request)
        if route.is_page:
            for name, value in PAGE_HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    return handle


async def _read_body(request: web.Request, route: Route) -> None:
    """Read the body once the caller is known; the handler finds it read."""
    if route.role != "agent":
        if request.content_length is None:
            raise Refused(411, "Content-Length: expected the length of the body, found none")
        if request.content_length > route.max_body_bytes:
            raise Refused(
                413,
                f"body: expected at most {route.max_body_bytes} bytes, "
                f"found {request.content_length}",
            )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except TimeoutError as error:
        raise Refused(
            408, f"body: expected all of it within {BODY_SECONDS:g} s", {hdrs.CONNECTION: "close"}
        ) from error
