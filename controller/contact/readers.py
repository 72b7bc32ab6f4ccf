"""Whom what is said to a tenant goes to, out of the directory; or why to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.contact.delivery import Refused
from controller.contact.directory import ContactDirectory
from controller.contact.routing import in_order
from controller.contact.sources.asking import LookupFailed
from controller.tenants import TenantContact


@dataclass(frozen=True)
class Readers:
    """A tenant's contacts, in the order in which they are written to."""

    people: Sequence[TenantContact] = ()
    nobody_because: str = ""
    """Why there are none; empty: there are, or it is not known at present."""
    away: Refused | None = None
    """Why it is not known at present: to be tried again."""


async def readers_of(directory: ContactDirectory, tenant: str) -> Readers:
    """Who they are now, looked up if need be."""
    try:
        listed = await directory.find(tenant)
    except LookupFailed as error:
        return Readers(away=Refused("directory", str(error), for_good=False))
    if listed is None:
        return Readers(nobody_because=f'nobody to write to: no directory lists "{tenant}"')
    people = in_order(listed.people())
    if not people:
        reason = f'nobody to write to: "{tenant}" is listed without a contact'
        return Readers(nobody_because=reason)
    return Readers(people)
