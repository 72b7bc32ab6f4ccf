"""An entry that comes from outside: what is checked of it beyond its shape."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from controller.tenants import Tenant, TenantContact
from fairuse_protocol.messages import MessageError, decode_with

SourceName = Literal["tenants_file", "pushed", "looked-up"]
"""Who can say something of a tenant, in the order in which it counts."""

LONGEST_NAME = 255
_ADDRESS = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
"""As much as tells an address from a name, a list or a slip of columns. Servers know the rest."""

_decoder = msgspec.json.Decoder(Tenant)


def read_entry(body: bytes) -> Tenant:
    """One tenant in the shape of tenants.toml as JSON, or MessageError."""
    entry = decode_with(_decoder, body)
    check_entry(entry)
    return entry


def check_entry(entry: Tenant) -> None:
    """Refuse, with MessageError, an entry with a contact that `fault_in` finds a fault in."""
    for index, contact in enumerate(entry.contacts):
        if fault := fault_in(contact):
            raise MessageError(f"contacts[{index}].{fault}")


def fault_in(contact: TenantContact) -> str:
    """What is wrong with a contact that comes from outside, beginning with its key; or empty.

    The name of a secret file is the operator's word: another system could name any file that the
    controller can read, and have notices signed with it.
    """
    for address in contact.email:
        if not _ADDRESS.fullmatch(address):
            return f'email: expected an address, found "{address}"'
    if contact.webhook_secret_file:
        return (
            "webhook_secret_file: expected none in an entry from outside, since it names a file "
            "of the controller's; list the tenant in tenants_file"
        )
    return ""


def is_tenants_name(text: str) -> bool:
    """Whether a tenant can have this name: printable, and not without end."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()
