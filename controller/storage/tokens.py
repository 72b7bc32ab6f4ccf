"""Who may speak: hosts' credentials, one-time enrolment tokens, API tokens. Hashes only.

The secrets are 256 random bits, so a plain SHA-256 cannot be searched and needs no salt.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import schema

ApiRole = Literal["viewer", "operator", "directory"]
"""viewer: looks. operator: looks and decides. directory: says who the tenants are, and no more."""

_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")

_hosts, _enrolment, _api = schema.hosts, schema.enrolment_tokens, schema.api_tokens


@dataclass(frozen=True)
class ApiToken:
    """Whose API token it is and what it allows."""

    name: str
    role: ApiRole


class EnrolmentRefused(Exception):
    """The enrolment token does not enrol this host. The text says why."""


def new_secret() -> str:
    """A fresh token or credential. Its name in front keeps it from looking like an option, and
    lets people find one that they left lying about."""
    return "fairuse_" + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


async def add_enrolment_token(
    connection: AsyncConnection, *, token: str, host: str, expires_at: float
) -> None:
    """Allow `host` to enrol once with `token`; ValueError if that is no name for a host."""
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(
            f"expected a host's name of letters, digits and . _ : - (255 at most), found {host!r}"
        )
    await connection.execute(
        _enrolment.insert().values(token_hash=digest(token), host=host, expires_at=expires_at)
    )


async def enrol(
    connection: AsyncConnection, *, host: str, token: str, credential: str, now: float
) -> None:
    """Use up `token` and make `credential` the host's only one, or raise EnrolmentRefused."""
    used = await connection.execute(
        _enrolment.update()
        .where(
            _enrolment.c.token_hash == digest(token),
            _enrolment.c.host == host,
            _enrolment.c.used_at.is_(None),
            _enrolment.c.expires_at > now,
        )
        .values(used_at=now)
    )
    if used.rowcount != 1:
        raise EnrolmentRefused(
            f'expected an unused, unexpired enrolment token for host "{host}"; make a new one '
            f"with: fairuse-controller enrolment-token --host {host}"
        )
    values = {"credential_hash": digest(credential), "enrolled_at": now, "revoked_at": None}
    known = await connection.execute(_hosts.update().where(_hosts.c.host == host).values(values))
    if known.rowcount == 0:
        await connection.execute(_hosts.insert().values(host=host, **values))


async def revoke_host(connection: AsyncConnection, host: str, now: float) -> bool:
    """The host's credential is good no more. False if it had none."""
    done = await connection.execute(
        _hosts.update()
        .where(_hosts.c.host == host, _hosts.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return done.rowcount == 1


async def host_credentials(connection: AsyncConnection) -> dict[bytes, str]:
    """Every enrolled host by the digest of its credential."""
    found = await connection.execute(
        sa.select(_hosts.c.credential_hash, _hosts.c.host).where(_hosts.c.revoked_at.is_(None))
    )
    return {row.credential_hash: row.host for row in found}


async def add_api_token(
    connection: AsyncConnection, *, token: str, name: str, role: ApiRole, now: float
) -> None:
    """Store a token for the API; IntegrityError if one has that name."""
    await connection.execute(
        _api.insert().values(token_hash=digest(token), name=name, role=role, created_at=now)
    )


async def revoke_api_token(connection: AsyncConnection, name: str, now: float) -> bool:
    """That token is good no more. False if there is none."""
    done = await connection.execute(
        _api.update().where(_api.c.name == name, _api.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return done.rowcount == 1


async def api_token(connection: AsyncConnection, token: str) -> ApiToken | None:
    """Whose token this is, if it is good."""
    found = await connection.execute(
        sa.select(_api.c.name, _api.c.role).where(
            _api.c.token_hash == digest(token), _api.c.revoked_at.is_(None)
        )
    )
    row = found.first()
    return None if row is None else ApiToken(row.name, row.role)
