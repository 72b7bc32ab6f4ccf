"""Tenants looked up over LDAP: every entry that the filter finds is one contact of the tenant.

python-ldap waits for its server with the interpreter's lock released, in threads of its own here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ldap
import ldap.filter
import msgspec

from controller.contact.delivery import one_line
from controller.contact.sources.asking import AnswerUnusable, SourceAway
from controller.contact.sources.entry import check_entry
from controller.language.catalogue import languages
from controller.lookup_settings import LdapAttributes, LdapDirectory
from controller.tenants import Tenant
from fairuse_protocol.messages import MessageError

_THREADS = 4
_MOST_ENTRIES = 100

_OF_A_TENANT = {key: key for key in ("name", "plan", "language", "time_zone")}
_OF_A_CONTACT = {
    "name": "contact_name",
    **{key: key for key in ("email", "role", "language", "time_zone")},
}
"""Keys of tenants.toml, and the keys in [contact.directory.ldap.attributes] that name theirs."""

Found = Mapping[str, list[bytes]]
"""An entry's attributes by name, each with its values."""


class LdapSource:
    """One server. A connection is made for each search: they are few, and none goes stale."""

    def __init__(self, settings: LdapDirectory, timeout_seconds: float) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ldap")
        scheme = "ldaps" if settings.security == "tls" else "ldap"
        self.name = f"{scheme}://{settings.host}:{settings.port}"

    async def ask(self, tenant: str) -> Tenant | None:
        """One search."""
        loop = asyncio.get_running_loop()
        try:
            # Looking up the server's own name is not bounded by LDAP's timeout.
            async with asyncio.timeout(2 * self._timeout_seconds):
                found = await loop.run_in_executor(self._threads, self._search, tenant)
        except ldap.NO_SUCH_OBJECT as error:
            raise SourceAway(f"base: there is no {self._settings.base}") from error
        except ldap.SIZELIMIT_EXCEEDED as error:
            raise AnswerUnusable(f"expected at most {_MOST_ENTRIES} entries, found more") from error
        except ldap.LDAPError as error:
            raise SourceAway(one_line(_told(error))) from error
        except (OSError, UnicodeDecodeError) as error:
            raise SourceAway(one_line(f"{type(error).__name__}: {error}")) from error
        return entry_of(found, self._settings.attributes)

    async def close(self) -> None:
        """Let the threads end; a search under way has its timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _search(self, tenant: str) -> list[Found]:
        settings = self._settings
        password = _password(settings.password_file)
        wanted = settings.filter.replace("{tenant}", ldap.filter.escape_filter_chars(tenant))
        attributes = [name for name in msgspec.structs.astuple(settings.attributes) if name]
        connection = self._connect()
        try:
            connection.simple_bind_s(settings.bind_dn, password)
            found = connection.search_ext_s(
                settings.base,
                ldap.SCOPE_SUBTREE,
                wanted,
                attributes,
                timeout=self._timeout_seconds,
                sizelimit=_MOST_ENTRIES,
            )
        finally:
            connection.unbind_ext_s()
        # A reference to another server has no name.
        return [entry for name, entry in sorted(found, key=_name) if name is not None]

    def _connect(self) -> Any:
        connection = ldap.initialize(self.name)
        connection.set_option(ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3)
        connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, self._timeout_seconds)
        connection.set_option(ldap.OPT_TIMEOUT, self._timeout_seconds)
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        if self._settings.ca_file:
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, self._settings.ca_file)
        # The last of TLS's options: it makes the others count.
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        if self._settings.security == "starttls":
            connection.start_tls_s()
        return connection


def entry_of(found: list[Found], attributes: LdapAttributes) -> Tenant | None:
    """The tenant out of the entries of its contacts; None: there is none. Raises AnswerUnusable.

    What is the tenant's is taken from the first entry that says it.
    """
    if not found:
        return None
    contacts = [_said(each, attributes, _OF_A_CONTACT) for each in found]
    tenant: dict[str, object] = {}
    for each in reversed(found):
        tenant |= _said(each, attributes, _OF_A_TENANT)
    try:
        entry = msgspec.convert({**tenant, "contacts": contacts}, Tenant)
        check_entry(entry)
    except (msgspec.ValidationError, MessageError) as error:
        raise AnswerUnusable(one_line(str(error))) from error
    return entry


def _said(entry: Found, attributes: LdapAttributes, keys: Mapping[str, str]) -> dict[str, object]:
    """What the entry says of these keys, by their names in tenants.toml."""
    said: dict[str, object] = {}
    for key, attribute_key in keys.items():
        texts = _texts(entry, getattr(attributes, attribute_key))
        if key == "language":
            texts = _spoken(texts)
        if texts:
            said[key] = texts if key == "email" else texts[0]
    return said


def _texts(entry: Found, attribute: str) -> list[str]:
    """An attribute's values. Servers write its name as they like: case means nothing in it."""
    wanted = attribute.lower()
    try:
        return [
            value.decode()
            for name, values in entry.items()
            if name.lower() == wanted
            for value in values
        ]
    except UnicodeDecodeError as error:
        raise AnswerUnusable(f"{attribute}: expected text, found {error.object!r}") from error


def _spoken(texts: list[str]) -> list[str]:
    """preferredLanguage is written as Accept-Language is: "da-DK, en;q=0.8". The first language
    that there are words for; who speaks none of them is written to in the policy's."""
    tags = [part.partition(";")[0].strip() for text in texts for part in text.split(",")]
    codes = [tag.partition("-")[0].lower() for tag in tags]
    return [code for code in codes if code in languages()]


def _password(path: str) -> str:
    if not path:
        return ""
    password = Path(path).read_text(encoding="utf-8").strip()
    if not password:
        # A server would take the bind for an anonymous one.
        raise OSError(f"password_file: expected a password, found nothing in {path}")
    return password


def _name(found: tuple[str | None, Found]) -> str:
    return found[0] or ""


def _told(error: ldap.LDAPError) -> str:
    """What OpenLDAP says of an error, in one line."""
    said = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(said[key]) for key in ("desc", "info") if said.get(key)]
    return f"{type(error).__name__}: {', '.join(words)}"
