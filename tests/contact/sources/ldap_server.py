"""Debian's slapd as a private instance: its own folder, a loopback port, gone after the test."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

BASE = "ou=customers,dc=example,dc=org"
READER, READERS_PASSWORD = "cn=fairuse,dc=example,dc=org", "only-reads"
ENTRIES = f"""\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: fairuse
userPassword: {READERS_PASSWORD}

dn: {BASE}
objectClass: organizationalUnit
ou: customers

dn: uid=anna,{BASE}
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: Andersen
o: web42
mail: anna@example.org
mail: ops@example.org
preferredLanguage: nb-NO, da-DK;q=0.8, en;q=0.5
employeeType: small

dn: uid=berit,{BASE}
objectClass: inetOrgPerson
uid: berit
cn: Berit
sn: Berg
o: web42
mail: berit@example.org
title: billing

dn: uid=star,{BASE}
objectClass: inetOrgPerson
uid: star
cn: Star
sn: Star
o: a*(b)\\c
mail: star@example.org

dn: uid=broken,{BASE}
objectClass: inetOrgPerson
uid: broken
cn: Broken
sn: Broken
o: broken
mail: nobody at all
"""
_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.pem
database mdb
suffix "dc=example,dc=org"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


@dataclass(frozen=True)
class LdapServer:
    """Where it listens, and who signed its certificate."""

    port: int
    tls_port: int
    ca_file: str
    password_file: str
    process: asyncio.subprocess.Process

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


@asynccontextmanager
async def ldap_server(folder: Path) -> AsyncIterator[LdapServer]:
    slapd = shutil.which("slapd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if slapd is None:
        pytest.skip("needs slapd, to be asked as a real directory: apt-get install slapd")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    (folder / "data").mkdir()
    (folder / "password").write_text(READERS_PASSWORD)
    (folder / "entries.ldif").write_text(ENTRIES)
    config = folder / "slapd.conf"
    config.write_text(_CONFIG.format(folder=folder, reader=READER))
    added = await asyncio.create_subprocess_exec(
        slapd, "-Tadd", "-f", str(config), "-l", str(folder / "entries.ldif")
    )
    assert await added.wait() == 0
    port, tls_port = _free_ports()
    addresses = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"
    # With -d it stays in the foreground, our child.
    process = await asyncio.create_subprocess_exec(
        slapd, "-d", "0", "-f", str(config), "-h", addresses
    )
    server = LdapServer(port, tls_port, str(folder / "ca.pem"), str(folder / "password"), process)
    try:
        await _listening(server)
        yield server
    finally:
        await server.stop()


async def _listening(server: LdapServer) -> None:
    async with asyncio.timeout(30):
        while True:
            assert server.process.returncode is None, "slapd has ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.tls_port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


def _free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]
