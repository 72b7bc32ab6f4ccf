"""policies.toml: which policies there are, and which applies to whom."""

from __future__ import annotations

import datetime as dt

import msgspec

from fairuse_protocol.settings import Settings, require


class For(Settings):
    """Whom one policy is for: the tenants, plans and hosts that are named."""

    policy: str
    """By its name, whatever the version."""
    tenants: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Patterns as in a shell: ``shared-*.example.com``."""

    def __post_init__(self) -> None:
        """A policy is for somebody."""
        require(
            bool(self.tenants or self.plans or self.hosts),
            "policy",
            expected="tenants, plans or hosts that it is for",
            found="none",
        )


class Stay(Settings):
    """Tenants that stay on a former version of their policy."""

    policy: str
    version: str
    tenants: tuple[str, ...]
    until: dt.date
    """From 00:00 UTC of this day on, the version that is then in force applies to them."""


class Selection(Settings):
    """The whole of policies.toml."""

    files: tuple[str, ...] = ()
    """Policies' files, from the directory of this file. Those with one name are its versions."""
    default: str = "default"
    """The policy of everybody else. One named "default" is built in, unless a file has it."""
    entries: tuple[For, ...] = msgspec.field(default=(), name="for")
    stay: tuple[Stay, ...] = ()
