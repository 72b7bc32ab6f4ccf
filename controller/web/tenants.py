"""The tenant directory over the API: a billing system pushes whom to write to about whom.

It says nothing about limits, and its role allows nothing else.
"""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from controller.contact.directory import Listing, Listings
from controller.contact.sources.entry import LONGEST_NAME, check_entry, is_tenants_name, read_entry
from controller.tenants import Tenant
from controller.web.auth import CALLER
from controller.web.errors import Refused
from controller.web.query import read_query
from controller.web.routes import Route
from controller.web.services import SERVICES, Services
from controller.web.tenant_messages import (
    DirectoryAnswer,
    DirectoryQuery,
    ListedTenant,
    ListedTenantAnswer,
    PushAnswer,
    PushRequest,
    SourceAnswer,
)
from fairuse_protocol.messages import JSON_CONTENT_TYPE, Message, MessageError, decode_with

MAX_PUSH_BYTES = 3 * 2**20
"""Some 20,000 tenants with a contact each. Less than the server takes from anybody."""

_push_decoder = msgspec.json.Decoder(PushRequest)


async def list_directory(request: web.Request) -> web.Response:
    """Everybody that is known now by name, with what each source says."""
    services, query = request.app[SERVICES], read_query(request, DirectoryQuery)
    listed = services.directory.listed()
    chosen = {
        name: found
        for name, found in listed.items()
        if query.source in (None, found[0].source) and name > (query.after or "")
    }
    page = tuple(_listed(name, found) for name, found in list(chosen.items())[: query.limit])
    return _json(
        DirectoryAnswer(
            at=services.clock(),
            tenants=page,
            total=len(listed),
            problem=services.directory.problem,
        )
    )


async def push_tenants(request: web.Request) -> web.Response:
    """Take over many tenants in one step, all or none. Doing it again changes nothing."""
    services = request.app[SERVICES]
    wanted = decode_with(_push_decoder, await request.read())
    for name, entry in wanted.tenants.items():
        _require_name(name)
        try:
            check_entry(entry)
        except MessageError as error:
            raise MessageError(f"tenants.{name}.{error}") from error
    if wanted.remove_missing and not wanted.tenants:
        raise MessageError(
            "tenants: expected one at least with remove_missing, found none: "
            "that looks like an export that failed"
        )
    done = await services.pushed.take(
        wanted.tenants,
        remove_missing=wanted.remove_missing,
        dry_run=wanted.dry_run,
        by=request[CALLER].name,
    )
    return _json(
        PushAnswer(
            at=services.clock(),
            dry_run=wanted.dry_run,
            added=done.added,
            changed=done.changed,
            removed=done.removed,
            unchanged=done.unchanged,
            overruled=tuple(services.directory.overruled(wanted.tenants)),
        )
    )


async def show_listed_tenant(request: web.Request) -> web.Response:
    """One tenant with what every source says of it; looked up, if that is configured. The entity
    tag is of what was pushed."""
    services, name = request.app[SERVICES], request.match_info["tenant"]
    return _shown(services, name, await services.directory.listings(name))


async def push_tenant(request: web.Request) -> web.Response:
    """Put this entry in place of what was pushed of the tenant before. Doing it again changes
    nothing; with If-Match it is refused when somebody else changed it meanwhile."""
    services, name = request.app[SERVICES], request.match_info["tenant"]
    _require_name(name)
    entry = read_entry(await request.read())
    await services.pushed.put(
        name, entry, by=request[CALLER].name, expected=request.headers.get(hdrs.IF_MATCH, "")
    )
    # Who pushes does not wait for a look-up elsewhere.
    return _shown(services, name, Listings(tuple(services.directory.said_of(name))))


async def remove_tenant(request: web.Request) -> web.Response:
    """Forget what was pushed of the tenant. What tenants_file says or what is looked up stays."""
    services, name = request.app[SERVICES], request.match_info["tenant"]
    await services.pushed.remove(
        name, by=request[CALLER].name, expected=request.headers.get(hdrs.IF_MATCH, "")
    )
    left = services.directory.said_of(name)
    return _json(ListedTenantAnswer(at=services.clock(), listed=_listed(name, left), problem=""))


def _shown(services: Services, name: str, listings: Listings) -> web.Response:
    if listings.problem and not listings.found:
        raise Refused(503, f'tenant: "{name}" cannot be looked up now: {listings.problem}')
    if not listings.found:
        raise Refused(404, f'tenant: expected one that is listed, found "{name}": nobody lists it')
    response = _json(
        ListedTenantAnswer(
            at=services.clock(), listed=_listed(name, listings.found), problem=listings.problem
        )
    )
    revision = next((each.revision for each in listings.found if each.revision), None)
    if revision is not None:
        response.headers[hdrs.ETAG] = f'"{revision}"'
    return response


def _listed(name: str, found: tuple[Listing, ...] | list[Listing]) -> ListedTenant:
    return ListedTenant(
        tenant=name,
        sources=tuple(
            SourceAnswer(
                source=each.source,
                entry=each.entry,
                at=each.at,
                by=each.by,
                is_stale=each.is_stale,
            )
            for each in found
        ),
    )


def _require_name(name: str) -> None:
    if not is_tenants_name(name):
        raise MessageError(
            f"tenant: expected a name of 1 to {LONGEST_NAME} printable characters, found {name!r}"
        )


def _json(message: Message) -> web.Response:
    return web.Response(body=msgspec.json.encode(message), content_type=JSON_CONTENT_TYPE)


_PATH = "/api/v1/directory"
ROUTES = (
    Route(
        "GET",
        _PATH,
        list_directory,
        "directory",
        "The tenants that are known by name, and from where",
        response=DirectoryAnswer,
        query=DirectoryQuery,
    ),
    Route(
        "POST",
        _PATH,
        push_tenants,
        "directory",
        "Push many tenants at once",
        request=PushRequest,
        response=PushAnswer,
        max_body_bytes=MAX_PUSH_BYTES,
    ),
    Route(
        "GET",
        f"{_PATH}/{{tenant}}",
        show_listed_tenant,
        "directory",
        "One tenant: whom to write to, and who says so",
        response=ListedTenantAnswer,
        is_tagged=True,
    ),
    Route(
        "PUT",
        f"{_PATH}/{{tenant}}",
        push_tenant,
        "directory",
        "Push one tenant",
        request=Tenant,
        response=ListedTenantAnswer,
        is_tagged=True,
    ),
    Route(
        "DELETE",
        f"{_PATH}/{{tenant}}",
        remove_tenant,
        "directory",
        "Forget what was pushed of a tenant",
        response=ListedTenantAnswer,
        is_tagged=True,
    ),
)
