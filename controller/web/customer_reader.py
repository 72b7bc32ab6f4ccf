"""Who reads the customer's page: in which language, and by which clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from controller.cases.model import Case
from controller.contact import wording
from controller.language.catalogue import ENGLISH, Language, languages
from controller.web.services import Services


@dataclass(frozen=True)
class Reader:
    """The customer, as far as the page has to know them."""

    language: Language = ENGLISH
    zone: tzinfo = UTC

    def moment(self, at: float) -> str:
        """A date and time, with the zone's name."""
        return wording.moment(at, self.language, self.zone)

    def end(self, at: float) -> str:
        """The same of when something is over: "the end of 31 December 2026"."""
        return wording.end(at, self.language, self.zone)

    def zone_name(self, at: float) -> str:
        """What the clocks there go by at that time: "CET"."""
        return wording.zone_name(at, self.zone)

    def at(self, typed: str) -> float:
        """A date and time on the reader's clock, as a browser sends it; ValueError if it is not.

        Of an hour that comes twice, the first; one that a clock skips is the hour after it.
        """
        return datetime.fromisoformat(typed).replace(tzinfo=self.zone).timestamp()

    def end_of_day(self, typed: str) -> float:
        """The last moment of a day on the reader's calendar; ValueError if it is none."""
        day = datetime.strptime(typed, "%Y-%m-%d").replace(tzinfo=self.zone)
        return (day + timedelta(days=1)).timestamp()

    def typed(self, at: float) -> str:
        """A time as a browser's field for date and time takes it."""
        return datetime.fromtimestamp(at, self.zone).strftime("%Y-%m-%dT%H:%M")


def reader_of(services: Services, case: Case, language_code: str) -> Reader:
    """Whom the case's page speaks to.

    It is read in the language of the letter that its link stood in (`language_code`); where that
    is not known, in the tenant's, or in the policy's. Its clock is the tenant's.
    """
    tenant = services.directory.tenant(case.tenant)
    language = (
        languages().get(language_code)
        or languages()[
            (tenant and tenant.language)
            or services.policies.policy_for(case.tenant, case.host).language
        ]
    )
    zone = ZoneInfo(tenant.time_zone) if tenant and tenant.time_zone else UTC
    return Reader(language, zone)
