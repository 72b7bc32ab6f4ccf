"""controller.toml: where the controller listens, what it may do, and how it reaches people."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

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


class Contact(Settings):
    """How customers are reached."""

    provider_name: str = "your hosting provider"
    page_url: str = "http://127.0.0.1:8460"
    """Where customers' browsers find this controller."""
    link_secret_file: str = "/var/lib/fairuse-controller/link-secret"
    """Signs the customers' links; made on first use."""
    link_valid: Duration = Duration(14 * 86400)
    tenants_file: str = "/etc/fairuse/tenants.toml"
    smtp: Smtp = Smtp()
    retry_for: Duration = Duration(24 * 3600)
    """A notice that no channel accepted for this long puts its case on hold."""


class ControllerSettings(Settings):
    """The whole of controller.toml."""

    mode: Mode = "observe"
    policies_file: str = ""
    """policies.toml; empty: the built-in default policy applies to everybody."""
    rings_file: str = ""
    """rings.toml, by which hosts go less far than `mode`; empty: all go as far."""
    listen: Listen = Listen()
    storage: Storage = Storage()
    contact: Contact = Contact()
    enrolment_valid: Duration = Duration(3600)


def load_controller_settings(path: Path) -> ControllerSettings:
    """Read controller.toml, or raise SettingsError."""
    return load_settings(path, ControllerSettings)
