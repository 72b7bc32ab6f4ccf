"""controller.toml: where the controller listens, what it may do, and how it reaches people."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from fairuse_protocol.settings import Settings, load_settings, require
from fairuse_protocol.units import Duration

Mode = Literal["observe", "contact", "enforce"]
"""observe: watch only. contact: write to customers too. enforce: order limits too."""


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Listen(Settings):
    """The HTTP server. Without a certificate it serves loopback addresses only."""

    host: str = "127.0.0.1"
    port: int = 8460
    certificate: str = ""
    private_key: str = ""

    def __post_init__(self) -> None:
        """Credentials never travel in the clear."""
        require(0 <= self.port < 65536, "port", expected="0 to 65535", found=self.port)
        require(
            bool(self.certificate) == bool(self.private_key),
            "certificate",
            expected="certificate and private_key together, or neither",
            found="one of them",
        )
        require(
            bool(self.certificate) or is_loopback(self.host),
            "host",
            expected="a loopback address, or a certificate and private_key for any other",
            found=f'"{self.host}" without a certificate',
        )


class Storage(Settings):
    """Where everything is kept."""

    database: str = "sqlite+aiosqlite:////var/lib/fairuse-controller/fairuse.db"
    """An SQLAlchemy URL with an async driver."""
    keep_reports: Duration = Duration(14 * 86400)


class Smtp(Settings):
    """The provider's mail server."""

    host: str = ""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    """none is accepted for loopback hosts only."""
    username: str = ""
    password_file: str = ""
    sender: str = ""

    def __post_init__(self) -> None:
        """Mail needs a sender; a password never travels in the clear."""
        if self.host:
            require("@" in self.sender, "sender", expected="an address", found=f'"{self.sender}"')
            require(
                self.security != "none" or is_loopback(self.host),
                "security",
                expected='"starttls" or "tls" for a host that is not loopback',
                found='"none"',
            )


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


class Contact(Settings):
    """How customers are reached."""

    provider_name: str = "your hosting provider"
    page_url: str = "http://127.0.0.1:8460"
    """Where customers' browsers find this controller."""
    link_secret_file: str = "/var/lib/fairuse-controller/link-secret"
    """Signs the customers' links; made on first use."""
    link_valid: Duration = Duration(14 * 86400)
    tenants_file: str = "/etc/fairuse/tenants.toml"
    """Empty: none; tenants are pushed or looked up."""
    directory: Directory = Directory()
    smtp: Smtp = Smtp()
    retry_for: Duration = Duration(24 * 3600)
    """A notice that no channel accepted for this long puts its case on hold."""


class ControllerSettings(Settings):
    """The whole of controller.toml."""

    mode: Mode = "observe"
    policies_file: str = ""
    """policies.toml; empty: the built-in default policy applies to everybody."""
    listen: Listen = Listen()
    storage: Storage = Storage()
    contact: Contact = Contact()
    enrolment_valid: Duration = Duration(3600)


def load_controller_settings(path: Path) -> ControllerSettings:
    """Read controller.toml, or raise SettingsError."""
    return load_settings(path, ControllerSettings)
