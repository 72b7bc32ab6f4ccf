"""controller.toml: where the controller listens, what it may do, and how it reaches people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from controller.lookup_settings import Directory
from controller.loopback import is_loopback, stays_inside
from fairuse_protocol.settings import Settings, load_settings, require
from fairuse_protocol.units import Duration

Mode = Literal["observe", "contact", "enforce"]
"""observe: watch only. contact: write to customers too. enforce: order limits too."""

MAILBOX_CHARACTERS = 12
"""With "+b.", a notice's id of up to 32 and "." with a signature of 16, that makes 64 octets:
the longest local part (RFC 5321, section 4.5.3.1.1)."""
_PLAIN_ADDRESS = re.compile(
    rf"[a-z0-9._-]{{1,{MAILBOX_CHARACTERS}}}@[a-z0-9]([a-z0-9.-]{{0,250}}[a-z0-9])?", re.IGNORECASE
)
_LEAST_KEPT_SECONDS = 30 * 86400
_LEAST_LINK_SECONDS = 7 * 86400
"""The longest deadline of the policies that are shipped, 3 days, with more time twice over."""


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
    """sqlite+aiosqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME."""
    password_file: str = ""
    """File with the password that PostgreSQL asks for; empty: it asks for none."""
    keep_reports: Duration = Duration(14 * 86400)
    keep_cases: Duration = Duration(365 * 86400)
    """A case that closed longer ago is erased; so are agreements and announcements."""

    def __post_init__(self) -> None:
        """A limit's day and a repeat's week are counted out of what is kept."""
        require(
            self.keep_cases >= _LEAST_KEPT_SECONDS,
            "keep_cases",
            expected="30d or more: repeats, habits and accounts are made of what is kept",
            found=str(self.keep_cases),
        )


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


class Imap(Settings):
    """The mailbox that customers' answers arrive in, read over IMAP."""

    host: str = ""
    port: int = 993
    security: Literal["tls", "starttls", "none"] = "tls"
    """none is accepted for loopback hosts only."""
    username: str = ""
    password_file: str = ""
    folder: str = "INBOX"
    taken_folder: str = "Fairuse"
    """Mail that was taken is moved there; made when it is missing."""
    look_every: Duration = Duration(30)

    def __post_init__(self) -> None:
        """A password never travels in the clear, and taken mail is not found again."""
        if self.host:
            require(
                self.security != "none" or is_loopback(self.host),
                "security",
                expected='"tls" or "starttls" for a host that is not loopback',
                found='"none"',
            )
            require(
                bool(self.username and self.password_file),
                "username",
                expected="username and password_file",
                found="one of them empty",
            )
            require(
                self.folder != self.taken_folder,
                "taken_folder",
                expected="another folder than folder",
                found=f'"{self.taken_folder}"',
            )
            require(
                self.look_every >= 1,
                "look_every",
                expected="1s or more",
                found=str(self.look_every),
            )


class Mailbox(Settings):
    """Where customers' answers and bounces come back to. Needs plus-addressing."""

    reply_to: str = ""
    """The mailbox's plain address; empty: nothing that comes back is read."""
    imap: Imap = Imap()

    def __post_init__(self) -> None:
        """Signed addresses are made of it, and no local part is longer than 64 octets."""
        if self.reply_to:
            require(
                _PLAIN_ADDRESS.fullmatch(self.reply_to) is not None,
                "reply_to",
                expected="a plain address whose part before the @ has 1 to "
                f"{MAILBOX_CHARACTERS} of a-z, 0-9, . _ -",
                found=f'"{self.reply_to}"',
            )
        require(
            not self.imap.host or bool(self.reply_to),
            "reply_to",
            expected="the mailbox's address, since imap.host is set",
            found="nothing",
        )


class Command(Settings):
    """The provider's own program for the channel "command": tickets, chat, anything."""

    argv: tuple[str, ...] = ()
    """The program by its absolute path, and its arguments; no shell. Empty: no such channel."""
    timeout: Duration = Duration(30)
    """It is killed with whatever it started when it takes longer."""

    def __post_init__(self) -> None:
        """What is run does not depend on where the controller was started."""
        require(
            not self.argv or self.argv[0].startswith("/"),
            "argv",
            expected="a program by its absolute path first",
            found=f'"{self.argv[0]}"' if self.argv else "nothing",
        )
        require(1 <= self.timeout <= 600, "timeout", expected="1s to 10m", found=str(self.timeout))


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
    templates: str = ""
    """A folder with templates of the provider's own; empty: the built-in letters."""
    directory: Directory = Directory()
    smtp: Smtp = Smtp()
    mailbox: Mailbox = Mailbox()
    command: Command = Command()
    agreement_ends_notice: Duration = Duration(7 * 86400)
    """How long before an agreement ends its tenant is told of it, and told once more at the end."""
    retry_for: Duration = Duration(24 * 3600)
    """A notice that no channel accepted for this long puts its case on hold."""
    next_contact_after: Duration = Duration(15 * 60)
    """For how long one contact's channels may ask to try again before the next contact is tried
    too. A refusal for good passes it on at once."""
    group_interval: Duration = Duration(120)
    """First notices about one tenant that come within it make one letter: the first of them waits
    for so long. One about something critical does not wait."""
    most_a_day: int = 10
    """Notices in 24 hours about one resource of a tenant on one host. One more is not sent; of a
    limit that started or ended a customer is always told."""

    def __post_init__(self) -> None:
        """A tenant who is never written to, or cannot answer, could never be limited by rule."""
        require(
            bool(self.provider_name.strip()) and self.provider_name.isprintable(),
            "provider_name",
            expected="the name that your customers know you by, in one line",
            found=f'"{self.provider_name}"',
        )
        require(
            _is_safe_page(self.page_url),
            "page_url",
            expected="https://NAME, as customers' browsers find this controller; http:// for "
            "localhost and private addresses only, since the links in it are secrets",
            found=f'"{self.page_url}"',
        )
        require(
            self.link_valid >= _LEAST_LINK_SECONDS,
            "link_valid",
            expected=f"{Duration(_LEAST_LINK_SECONDS)} or more: a customer who was given days to "
            "answer has to be able to",
            found=str(self.link_valid),
        )
        require(self.most_a_day >= 1, "most_a_day", expected="1 or more", found=self.most_a_day)
        require(
            self.group_interval <= 3600,
            "group_interval",
            expected="at most 1h: neighbours are waiting",
            found=str(self.group_interval),
        )


def _is_safe_page(url: str) -> bool:
    """Whether links below `url` can be opened, and nobody on the way reads them."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and stays_inside(host))


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
