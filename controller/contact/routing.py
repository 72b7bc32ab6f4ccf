"""To whom a letter goes, and when the next one in line is asked. Pure.

Every kind of notice goes the same way: whom a conversation was begun with hears how it goes on.

1. The technical contacts, who can do something about it; then those for abuse, who know whom to
   ask; those for billing last, so that somebody hears of it. Within a role, as they are listed.
2. A contact's channels in their order, all of them in one try. The first that accepts ends it: one
   letter is one message to one contact.
3. The next contact is asked at once where a contact's channels have all refused for good, and
   otherwise only after `next_contact_after`: a greylisting server, or the provider's own that is
   being restarted, is no reason to write to the billing department.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from email.utils import parseaddr

import msgspec

from controller.contact.delivery import Refused
from controller.tenants import Role, TenantContact

_ORDER: tuple[Role, ...] = ("technical", "abuse", "billing")


def in_order(people: Sequence[TenantContact]) -> tuple[TenantContact, ...]:
    """Those who can be written to, in the order in which they are."""
    reachable = (each for each in people if each.channels)
    return tuple(sorted(reachable, key=lambda each: _ORDER.index(each.role)))


def without_addresses(
    people: Sequence[TenantContact], bounced: Collection[str]
) -> tuple[TenantContact, ...]:
    """The same people without mail addresses that the letter came back from; those who cannot be
    reached without them are left out."""
    left = []
    for each in people:
        email = tuple(address for address in each.email if _bare(address) not in bounced)
        channels = each.channels
        if each.email and not email:
            channels = tuple(name for name in channels if name != "email")
        left.append(msgspec.structs.replace(each, email=email, channels=channels))
    return tuple(each for each in left if each.channels)


def roles_of(people: Sequence[TenantContact], addresses: Collection[str]) -> tuple[str, ...]:
    """The roles of those whom these mail addresses are of, each once."""
    whose = (each.role for each in people if {_bare(one) for one in each.email} & set(addresses))
    return tuple(dict.fromkeys(whose))


def passes_on(
    refusals: Sequence[Refused], *, waited_seconds: float, next_contact_after: float
) -> bool:
    """Whether the next contact is to be tried after this one's `refusals`.

    `waited_seconds` is how long the letter has been tried for.
    """
    return waited_seconds >= next_contact_after or all(each.for_good for each in refusals)


def _bare(address: str) -> str:
    """As the outbox has it."""
    return parseaddr(address)[1].lower()
