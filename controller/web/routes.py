"""What a route is. Each area declares its own as data; the application and OpenAPI read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from fairuse_protocol.messages import Message

Role = Literal["public", "agent", "viewer", "operator", "directory"]
"""Who may call a route; `ACCEPTED` says which credentials do."""

ACCEPTED: Mapping[Role, tuple[str, ...]] = {
    "public": (),
    "agent": ("agent",),
    "viewer": ("viewer", "operator"),
    "operator": ("operator",),
    "directory": ("directory", "operator"),
}
"""An operator may whatever the others of the API may. A billing system's token says who the tenants
are and sees nothing else; a viewer does not see customers' addresses."""

MAX_BODY_BYTES = 64 * 1024
"""Most send a few sentences at most."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One method and path, who may call it, and what goes in and out."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
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
    max_body_bytes: int = MAX_BODY_BYTES
    """Of everybody but enrolled hosts, whose reports have a limit of their own."""
    is_tagged: bool = False
    """Whether its answers have an entity tag, and its changes heed If-Match."""

    @property
    def is_page(self) -> bool:
        """Whether people's browsers come here, not programs."""
        return is_page(self.path)


def is_page(path: str) -> bool:
    """Whether `path` is for people's browsers: errors are shown there, not encoded."""
    return not path.startswith(("/api/", "/agent/")) and path not in ("/healthz", "/openapi.json")
