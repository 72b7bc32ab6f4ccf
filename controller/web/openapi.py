"""OpenAPI 3.1, out of the same route data that the application is made of."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from controller.web.errors import ErrorAnswer
from controller.web.query import parameter_schemas, required_parameters
from controller.web.routes import ACCEPTED, Route
from fairuse_protocol.messages import JSON_CONTENT_TYPE, PROTOCOL_VERSION

DOCUMENT: web.AppKey[bytes] = web.AppKey("openapi", bytes)
"""The finished document as JSON; the application sets it from its routes."""

_REF = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"\{(\w+)(?::[^}]*)?\}")

_SECURITY_SCHEMES = {
    "agent": {
        "type": "http",
        "scheme": "bearer",
        "description": "A host's own credential, got by enrolling. It speaks for that host only.",
    },
    "viewer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token with the role viewer: it may look.",
    },
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token with the role operator: it may look, and take steps.",
    },
    "directory": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token with the role directory: it may say who the tenants are.",
    },
    "page": {
        "type": "http",
        "scheme": "basic",
        "description": "For browsers: an API token as the password, with any user name.",
    },
}


async def show_document(request: web.Request) -> web.Response:
    """The description of everything that this server answers."""
    return web.Response(body=request.app[DOCUMENT], content_type=JSON_CONTENT_TYPE)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    routes = tuple(routes)
    bodies = [*_bodies(routes), ErrorAnswer]
    schemas, components = msgspec.json.schema_components(bodies, ref_template=_REF)
    schema_of = dict(zip(map(id, bodies), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PATH_PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairuse controller",
            "version": str(PROTOCOL_VERSION),
            "description": "Times are seconds since the epoch, UTC; in exports they are ISO 8601. "
            "Every error is JSON that says what was expected, what was found and what to do.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {name: _tidied(schema) for name, schema in components.items()},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _bodies(routes: Iterable[Route]) -> Iterator[Any]:
    for route in routes:
        for body in (route.request, route.response):
            if body is not None:
                yield body


def _operation(route: Route, schema_of: dict[int, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{_area(route)}_{route.handler.__name__}",
        "summary": route.summary,
        "description": inspect.getdoc(route.handler) or "",
        "tags": [_area(route)],
        "security": _security(route),
        "responses": _responses(route, schema_of),
    }
    parameters = _parameters(route)
    if parameters:
        operation["parameters"] = parameters
    if route.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": _json(schema_of[id(route.request)]),
        }
    return operation


def _area(route: Route) -> str:
    """The module that the route is declared in."""
    return route.handler.__module__.rpartition(".")[2]


def _security(route: Route) -> list[dict[str, list[str]]]:
    accepted: list[dict[str, list[str]]] = [{name: []} for name in ACCEPTED[route.role]]
    return [*accepted, {"page": []}] if accepted and route.is_page else accepted


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(route.path)
    ]
    if route.query is None:
        return in_path
    required = required_parameters(route.query)
    in_query = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in parameter_schemas(route.query).items()
    ]
    return in_path + in_query


def _responses(route: Route, schema_of: dict[int, dict[str, Any]]) -> dict[str, Any]:
    if route.response is None:
        return {"200": {"description": "A page."}, "default": {"description": "An error page."}}
    responses: dict[str, Any] = {
        "200": {"description": "Done.", "content": _json(schema_of[id(route.response)])}
    }
    error = _json(schema_of[id(ErrorAnswer)])
    for status, meaning in _refusals(route):
        responses[status] = {"description": meaning, "content": error}
    responses["default"] = {"description": "It could not be done.", "content": error}
    return responses


def _refusals(route: Route) -> Iterator[tuple[str, str]]:
    in_path = bool(_PATH_PARAMETER.search(route.path))
    if route.query is not None or route.request is not None:
        yield "400", "The request is not as described; nothing was changed."
    if route.role != "public":
        yield "401", "No credential, or one that is not known."
    if route.role != "public":
        yield "403", "The credential does not allow this."
    if in_path:
        yield "404", "There is none by that name."
    if in_path and route.method == "POST":
        yield "409", "It makes no sense as things are now; nothing was changed."
    if route.is_tagged and route.method != "GET":
        yield "412", "If-Match names another entry than there is; nothing was changed."


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {JSON_CONTENT_TYPE: {"schema": schema}}


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Docstrings without their indentation."""
    if "description" in schema:
        return {**schema, "description": inspect.cleandoc(schema["description"])}
    return schema


ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        show_document,
        "public",
        "This document",
        response=dict[str, Any],
    ),
)
