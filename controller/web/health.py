"""Whether this controller can do its work, for load balancers and watchdogs."""

from __future__ import annotations

import logging

import msgspec
import sqlalchemy as sa
from aiohttp import web

from controller.web.errors import Refused
from controller.web.routes import Route
from controller.web.services import SERVICES
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message

_log = logging.getLogger(__name__)


class HealthAnswer(Message):
    """The controller answers and its database can be read. `at` is its time."""

    at: float


async def show_health(request: web.Request) -> web.Response:
    """200 while the database can be read, 503 while it cannot."""
    services = request.app[SERVICES]
    try:
        async with services.database.read() as connection:
            await connection.execute(sa.select(1))
    except sa.exc.SQLAlchemyError as error:
        _log.error("the database cannot be read: %s", error)
        raise Refused(503, "the database cannot be read; the controller's log says why") from error
    answer = HealthAnswer(at=services.clock())
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON_CONTENT_TYPE)


ROUTES = (
    Route("GET", "/healthz", show_health, "public", "Whether it works", response=HealthAnswer),
)
