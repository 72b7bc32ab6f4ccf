"""What the API of the tenant directory takes and answers. Data only, as in messages.py."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from controller.contact.sources.entry import SourceName
from controller.tenants import Tenant
from controller.web.messages import Limit
from fairuse_protocol.messages import Message


class DirectoryQuery(Message):
    """Which tenants to list."""

    source: (
        Annotated[SourceName, Meta(description="Only those that this source's word counts for.")]
        | None
    ) = None
    after: (
        Annotated[str, Meta(description="Only names after this one: the last of the page before.")]
        | None
    ) = None
    limit: Limit = 100


class SourceAnswer(Message):
    """What one source says of a tenant.

    `at` is when it said so (null: the file as it is now), `by` the token's name that pushed it.
    `is_stale`: it should have been asked for anew by now, and could not be had.
    """

    source: SourceName
    entry: Tenant
    at: float | None
    by: str
    is_stale: bool


class ListedTenant(Message):
    """A tenant with what every source that lists it says. The first counts, alone."""

    tenant: str
    sources: tuple[SourceAnswer, ...]


class ListedTenantAnswer(Message):
    """One tenant of the directory. `problem`: why it could not be looked up; empty if it was."""

    at: float
    listed: ListedTenant
    problem: str


class DirectoryAnswer(Message):
    """Tenants by name. `total` counts them whatever the limit; `problem` is empty if all is well.

    Of those that are looked up only the ones are listed that were asked about lately.
    """

    at: float
    tenants: tuple[ListedTenant, ...]
    total: int
    problem: str


class PushRequest(Message):
    """Many tenants at once, all or none of them: an export of a billing system."""

    tenants: dict[str, Tenant]
    remove_missing: Annotated[
        bool, Meta(description="Forget every pushed tenant that is not among these.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Change nothing; say what would change.")] = False


class PushAnswer(Message):
    """What changed, or would have, by tenants' names. What tenants_file says still comes first."""

    at: float
    dry_run: bool
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    overruled: tuple[str, ...]
    """Tenants of this push whom tenants_file lists too, and otherwise."""
