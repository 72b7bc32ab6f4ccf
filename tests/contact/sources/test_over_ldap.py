"""Looking tenants up over LDAP, from a real slapd."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from controller.contact.sources.asking import AnswerUnusable, SourceAway
from controller.lookup_settings import LdapAttributes, LdapDirectory
from controller.tenants import Tenant, TenantContact
from tests.contact.sources.ldap_server import BASE, READER, LdapServer, ldap_server

pytest.importorskip("ldap", reason="needs python-ldap: apt-get install libldap-dev libsasl2-dev")
from controller.contact.sources.over_ldap import LdapSource

ATTRIBUTES = LdapAttributes(plan="employeeType", role="title")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LdapServer]:
    async with ldap_server(tmp_path) as server:
        yield server


def settings_of(server: LdapServer, **changes: Any) -> LdapDirectory:
    settings = LdapDirectory(
        host="127.0.0.1",
        port=server.tls_port,
        bind_dn=READER,
        password_file=server.password_file,
        ca_file=server.ca_file,
        base=BASE,
        attributes=ATTRIBUTES,
    )
    return msgspec.structs.replace(settings, **changes)


async def ask(
    settings: LdapDirectory, tenant: str = "web42", *, timeout_seconds: float = 5.0
) -> Tenant | None:
    source = LdapSource(settings, timeout_seconds)
    try:
        return await source.ask(tenant)
    finally:
        await source.close()


async def test_every_entry_that_is_found_is_a_contact_in_the_language_that_there_are_words_for(
    server: LdapServer,
) -> None:
    anna = TenantContact(name="Anna", language="da", email=("anna@example.org", "ops@example.org"))
    berit = TenantContact(name="Berit", role="billing", email=("berit@example.org",))
    expected = Tenant(name="web42", plan="small", language="da", contacts=(anna, berit))
    for changes in (
        {},
        {"port": server.port, "security": "starttls"},
        {"port": server.port, "security": "none"},
    ):
        assert await ask(settings_of(server, **changes)) == expected


async def test_an_unknown_tenant_is_told_from_a_place_that_cannot_be_searched(
    server: LdapServer,
) -> None:
    assert await ask(settings_of(server), "web43") is None
    for changes, reason in (
        ({"base": "ou=nowhere,dc=example,dc=org"}, "base: there is no ou=nowhere"),
        ({"bind_dn": "cn=other,dc=example,dc=org"}, "INVALID_CREDENTIALS"),
        ({"filter": "(o={tenant}"}, "FILTER_ERROR"),
        ({"password_file": "/nonexistent"}, "No such file"),
        # Anonymous: this server shows nothing to whom it does not know.
        ({"bind_dn": "", "password_file": ""}, "base: there is no"),
    ):
        with pytest.raises(SourceAway, match=reason):
            await ask(settings_of(server, **changes))


async def test_a_name_is_only_a_name_whatever_is_in_it(server: LdapServer) -> None:
    for tenant in ("*", "web4*", "web42)(o=*", "x)(|(o=*)", "web42\0", "\\2a"):
        assert await ask(settings_of(server), tenant) is None
    found = await ask(settings_of(server), "a*(b)\\c")
    assert found is not None
    assert found.contacts[0].email == ("star@example.org",)


async def test_an_entry_that_cannot_be_used_says_why(server: LdapServer) -> None:
    with pytest.raises(AnswerUnusable, match=r"contacts\[0\].email: expected an address, found"):
        await ask(settings_of(server), "broken")
    wrong = LdapAttributes(role="cn")
    with pytest.raises(AnswerUnusable, match="role"):
        await ask(settings_of(server, attributes=wrong))


async def test_the_servers_certificate_is_checked_before_the_password_is_said(
    server: LdapServer, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "wrong.pem")
    for changes in ({}, {"port": server.port, "security": "starttls"}):
        for ca_file in (str(tmp_path / "wrong.pem"), ""):
            with pytest.raises(SourceAway, match=r"certificate|SERVER_DOWN|CONNECT_ERROR"):
                await ask(settings_of(server, ca_file=ca_file, **changes))


async def test_an_empty_password_is_no_anonymous_bind(server: LdapServer, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SourceAway, match="password_file: expected a password"):
        await ask(settings_of(server, password_file=str(tmp_path / "empty")))


async def test_a_server_that_has_ended_is_away(server: LdapServer) -> None:
    await server.stop()
    with pytest.raises(SourceAway, match="SERVER_DOWN"):
        await ask(settings_of(server))


async def test_a_server_that_says_nothing_holds_up_nobody() -> None:
    """It takes connections and is silent; what else there is to do goes on meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = LdapDirectory(
            host="127.0.0.1", port=silent.getsockname()[1], security="none", base=BASE
        )
        asking = asyncio.create_task(ask(settings, timeout_seconds=3.0))
        longest, before = 0.0, time.monotonic()
        while not asking.done():
            await asyncio.sleep(0)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
        with pytest.raises(SourceAway, match=r"TIMEOUT|Timeout"):
            await asking
    assert longest < 2.5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"security": "none", "host": "ldap.example"}, "for a host that is not loopback"),
        ({"base": ""}, "base: expected where to search"),
        ({"filter": "(o=web42)"}, "{tenant} in it"),
        ({"bind_dn": READER}, "bind_dn and password_file together"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], reason: str) -> None:
    good: dict[str, Any] = {"host": "127.0.0.1", "base": BASE}
    with pytest.raises(ValueError, match=reason):
        LdapDirectory(**(good | changes))
