"""Query strings into typed messages, and the parameters as OpenAPI describes them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from aiohttp import web

from fairuse_protocol.messages import Message, MessageError

QueryType = TypeVar("QueryType", bound=Message)


def read_query(request: web.Request, query_type: type[QueryType]) -> QueryType:
    """The request's query string, or MessageError naming the parameter."""
    schemas = parameter_schemas(query_type)
    values: dict[str, Any] = {}
    for name, found in request.query.items():
        if name not in schemas:
            known = ", ".join(schemas)
            raise MessageError(f'query: expected only {known}, found the parameter "{name}"')
        if name in values:
            raise MessageError(f"{name}: expected it once, found it twice")
        values[name] = _read(name, found, schemas[name])
    try:
        return msgspec.convert(values, query_type)
    except msgspec.ValidationError as error:
        raise MessageError(f"query: {error}") from error


def parameter_schemas(query_type: type[Message]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each parameter. One that may be left out is not null when it is given."""
    properties: dict[str, dict[str, Any]] = _schema(query_type)["properties"]
    return {name: _without_null(schema) for name, schema in properties.items()}


def required_parameters(query_type: type[Message]) -> frozenset[str]:
    """The parameters that may not be left out."""
    return frozenset(_schema(query_type)["required"])


def _schema(query_type: type[Message]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([query_type])
    schema: dict[str, Any] = components[query_type.__name__]
    return schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _read(name: str, found: str, schema: dict[str, Any]) -> str | int:
    if "enum" in schema and found not in schema["enum"]:
        raise MessageError(f'{name}: expected {", ".join(schema["enum"])}, found "{found}"')
    if schema.get("type") != "integer":
        return found
    least, most = schema["minimum"], schema["maximum"]
    # str.isdecimal() alone would let other scripts' digits through.
    if not (found.isascii() and found.isdecimal() and len(found) < 10):
        raise MessageError(f'{name}: expected a whole number, {least} to {most}, found "{found}"')
    if not least <= int(found) <= most:
        raise MessageError(f"{name}: expected {least} to {most}, found {found}")
    return int(found)
