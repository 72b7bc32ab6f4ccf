"""Where tenants are looked up: the [contact.directory] of controller.toml."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from controller.loopback import is_loopback
from fairuse_protocol.settings import Settings, require
from fairuse_protocol.units import Duration


class HttpDirectory(Settings):
    """Where tenants are looked up over HTTP."""

    url: str = ""
    """Holds "{tenant}"; answers JSON in the shape of tenants.toml, or 404 for an unknown one."""
    token_file: str = ""
    """A bearer token; empty: none is sent."""
    ca_file: str = ""
    """Who may have signed the server's certificate; empty: whom the system trusts."""

    def __post_init__(self) -> None:
        """Tokens and addresses never travel in the clear."""
        if self.url:
            require("{tenant}" in self.url, "url", expected="{tenant} in it", found=f'"{self.url}"')
            parts = urlsplit(self.url)
            require(
                parts.scheme == "https"
                or (parts.scheme == "http" and is_loopback(parts.hostname or "")),
                "url",
                expected="https, or http for a loopback host",
                found=f'"{self.url}"',
            )


class LdapAttributes(Settings):
    """Which attribute of an entry says what of a contact; empty: none does.

    `name` and `plan` are the tenant's. `language` is written as in Accept-Language.
    """

    name: str = "o"
    plan: str = ""
    language: str = "preferredLanguage"
    time_zone: str = ""
    contact_name: str = "cn"
    email: str = "mail"
    role: str = ""


class LdapDirectory(Settings):
    """Where tenants are looked up over LDAP. Each entry that is found is a contact."""

    host: str = ""
    port: int = 636
    security: Literal["starttls", "tls", "none"] = "tls"
    """none is accepted for loopback hosts only."""
    bind_dn: str = ""
    password_file: str = ""
    """Both empty: an anonymous bind."""
    ca_file: str = ""
    """Who may have signed the server's certificate; empty: whom the system trusts."""
    base: str = ""
    filter: str = "(&(objectClass=inetOrgPerson)(o={tenant}))"
    """Holds "{tenant}", for which the escaped name is put."""
    attributes: LdapAttributes = LdapAttributes()

    def __post_init__(self) -> None:
        """A search needs a place and a name; a password never travels in the clear."""
        require(
            "{tenant}" in self.filter, "filter", expected="{tenant} in it", found=f'"{self.filter}"'
        )
        require(
            bool(self.bind_dn) == bool(self.password_file),
            "bind_dn",
            expected="bind_dn and password_file together, or neither",
            found="one of them",
        )
        if self.host:
            require(bool(self.base), "base", expected="where to search", found="nothing")
            require(
                self.security != "none" or is_loopback(self.host),
                "security",
                expected='"starttls" or "tls" for a host that is not loopback',
                found='"none"',
            )


class Directory(Settings):
    """Where tenants are looked up that neither tenants_file nor a push lists, if anywhere."""

    keep: Duration = Duration(3600)
    """How long an answer is used without asking again."""
    keep_stale: Duration = Duration(7 * 86400)
    """How much longer it is used while it cannot be had anew."""
    keep_unknown: Duration = Duration(60)
    """How long "there is no such tenant" is believed."""
    timeout: Duration = Duration(5)
    http: HttpDirectory = HttpDirectory()
    ldap: LdapDirectory = LdapDirectory()

    def __post_init__(self) -> None:
        """One place, asked for a while at least."""
        require(
            not (self.http.url and self.ldap.host),
            "http",
            expected="http.url or ldap.host",
            found="both",
        )
        for key in ("keep", "keep_unknown", "timeout"):
            require(getattr(self, key) > 0, key, expected="more than 0s", found=getattr(self, key))

    @property
    def is_used(self) -> bool:
        """Whether tenants are looked up at all."""
        return bool(self.http.url or self.ldap.host)
