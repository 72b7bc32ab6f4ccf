"""What a route is. Each area declares its own as data; the application and OpenAPI read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from fairuse_protocol.messages import Message

Role = Literal["public", "agent", "viewer", "operator"]
"""Who may call a route. An operator may whatever a viewer may; an agent only what is an agent's."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One method and path, who may call it, and what goes in and out."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    role: Role
    summary: str
    request: object = None
    """The type of its JSON body; None: it takes none."""
    response: object = None
    """The type of its JSON answer; None: it answers something else, such as a page."""
    query: type[Message] | None = None
    """A message whose fields are the parameters that the query string may have."""

    @property
    def is_page(self) -> bool:
        """Whether people's browsers come here, not programs."""
        return is_page(self.path)


def is_page(path: str) -> bool:
    """Whether `path` is for people's browsers: errors are shown there, not encoded."""
    return not path.startswith(("/api/", "/agent/")) and path not in ("/healthz", "/openapi.json")
