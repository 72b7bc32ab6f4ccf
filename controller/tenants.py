"""tenants.toml: who the tenants are, and whom to write to about each, how and when."""

from __future__ import annotations

from functools import cache
from typing import Literal
from zoneinfo import available_timezones

import msgspec

from controller.language.catalogue import languages
from fairuse_protocol.settings import Settings, require

Role = Literal["technical", "abuse", "billing"]
ChannelName = Literal["email", "webhook"]


class TenantContact(Settings):
    """One person or team to write to, by the first of `channels` that accepts."""

    role: Role = "technical"
    name: str = ""
    """As they are greeted."""
    language: str = ""
    """As a catalogue in controller/language/catalogues is named, or "en"; empty: the tenant's."""
    time_zone: str = ""
    """As the time zone database names it, "Europe/Copenhagen"; empty: the tenant's."""
    email: tuple[str, ...] = ()
    webhook_url: str = ""
    webhook_secret_file: str = ""
    channels: tuple[ChannelName, ...] = ("email",)

    def __post_init__(self) -> None:
        """Only what there are words and clocks for."""
        _require_language(self.language)
        _require_time_zone(self.time_zone)


class Tenant(Settings):
    """One tenant of tenants.toml. Its `contacts` are tried in their order."""

    name: str = ""
    plan: str = ""
    """By which a policy can be chosen (policies.toml)."""
    language: str = ""
    """Empty: the policy's."""
    time_zone: str = ""
    """Empty: UTC."""
    contacts: tuple[TenantContact, ...] = ()

    def __post_init__(self) -> None:
        """Only what there are words and clocks for."""
        _require_language(self.language)
        _require_time_zone(self.time_zone)

    def people(self) -> tuple[TenantContact, ...]:
        """The contacts, with the tenant's name, language and time zone where they have none."""
        return tuple(
            msgspec.structs.replace(
                each,
                name=each.name or self.name,
                language=each.language or self.language,
                time_zone=each.time_zone or self.time_zone,
            )
            for each in self.contacts
        )


class TenantDirectory(Settings):
    """The whole of tenants.toml."""

    tenants: dict[str, Tenant] = msgspec.field(default_factory=dict)


def _require_language(code: str) -> None:
    known = ", ".join(f'"{each}"' for each in sorted(languages()))
    require(
        not code or code in languages(), "language", expected=f"one of {known}", found=f'"{code}"'
    )


def _require_time_zone(name: str) -> None:
    require(
        not name or name in _time_zones(),
        "time_zone",
        expected='a name of the time zone database, as "Europe/Copenhagen"',
        found=f'"{name}"',
    )


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
