"""tenants.toml: who the tenants are, and whom to write to about each, how and when."""

from __future__ import annotations

from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from controller.language.catalogue import languages
from controller.quiet import QuietTimes, Weekday, holidays_of, parse_hours
from fairuse_protocol.settings import Settings, require

Role = Literal["technical", "abuse", "billing"]
ChannelName = Literal["email", "webhook", "command"]


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
    quiet_hours: str = ""
    """Local time, "22:00-07:00": what can wait is not sent then. Nor on the next two."""
    quiet_days: tuple[Weekday, ...] = ()
    holidays: str = ""
    """A country whose public holidays are kept, "DK", or a part of one, "DE-BY"."""

    def __post_init__(self) -> None:
        """Only what there are words, clocks and calendars for."""
        _require_language(self.language)
        _require_time_zone(self.time_zone)
        require(
            not self.quiet_hours or parse_hours(self.quiet_hours) is not None,
            "quiet_hours",
            expected='two different times, as "22:00-07:00"',
            found=f'"{self.quiet_hours}"',
        )
        require(
            len(set(self.quiet_days)) < 7,
            "quiet_days",
            expected="a day on which they can be written to",
            found="all seven",
        )
        _require_holidays(self.holidays)

    def quiet_times(self) -> QuietTimes:
        """When they do not want to be written to about what can wait."""
        return QuietTimes(
            zone=ZoneInfo(self.time_zone or "UTC"),
            hours=parse_hours(self.quiet_hours),
            days=frozenset(self.quiet_days),
            holidays=self.holidays,
        )


class Tenant(Settings):
    """One tenant of tenants.toml. Its `contacts` are tried by role, then in their order."""

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


def _require_holidays(code: str) -> None:
    try:
        if code:
            holidays_of(code)
    except NotImplementedError:
        require(
            condition=False,
            key="holidays",
            expected='a country, "DK", or a part of one, "DE-BY", whose holidays are known',
            found=f'"{code}"',
        )


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
