"""Times and names in plain words, the same in mails and on pages.

Times are told in the reader's `zone`, whose name stands beside them.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, tzinfo

from babel.dates import format_date, format_skeleton, format_time

from controller.fairshare.sentence import amount, brief_amount
from controller.language import figures
from controller.language.catalogue import ENGLISH, Language, message
from fairuse_protocol.messages import Resource

_RESOURCES: dict[Resource, str] = {
    "cpu": message("CPU time"),
    "disk": message("disk time"),
    "net-in": message("incoming network traffic"),
    "net-out": message("outgoing network traffic"),
}
_CAPACITIES: dict[Resource, str] = {
    "cpu": message("The whole machine"),
    "disk": message("All that the disks can do"),
    "net-in": message("The whole machine"),
    "net-out": message("The whole machine"),
}
_WHY_IT_MATTERS: dict[Resource, str] = {
    "cpu": message(
        "For the people who use those servers this means slow pages and jobs that take longer."
    ),
    "disk": message(
        "For the people who use those servers this means slow pages, and databases and files that "
        "take long to answer."
    ),
    **dict.fromkeys(
        ("net-in", "net-out"),
        message(
            "For the people who use those servers this means slow pages, and transfers that stall."
        ),
    ),
}
_EXACT_BELOW_SECONDS = 120.0
"""Shorter times are told to the second."""
_CAUSES = (
    (
        message("A job that ran away"),
        message("look at the busiest processes, and at what is scheduled."),
    ),
    (
        message("A backup, an import or a build"),
        message("let it run slower, or at another hour."),
    ),
    (
        message("A break-in"),
        message(
            "if you cannot tell where the load comes from, look for logins, processes, scheduled "
            "jobs and traffic that are not yours."
        ),
    ),
)


def resource_name(resource: Resource, language: Language = ENGLISH) -> str:
    """What is short: "CPU time"."""
    return language.gettext(_RESOURCES[resource])


def capacity_name(resource: Resource, language: Language = ENGLISH) -> str:
    """What all of a resource is: "The whole machine"."""
    return language.gettext(_CAPACITIES[resource])


def your_server(tenant: str, language: Language = ENGLISH) -> str:
    """Whose server, to its owner: "your server web-042"."""
    return language.gettext("your server %(tenant)s", tenant=tenant)


def why_it_matters(resource: Resource, language: Language = ENGLISH) -> str:
    """What waiting for a resource is like for those who wait."""
    return language.gettext(_WHY_IT_MATTERS[resource])


def causes(language: Language = ENGLISH) -> tuple[tuple[str, str], ...]:
    """What heavy use might come from, and what to do about it."""
    return tuple((language.gettext(name), language.gettext(advice)) for name, advice in _CAUSES)


def figure(resource: Resource, value: float, language: Language = ENGLISH) -> str:
    """An amount beside a label, which for disks says already what the share is of."""
    written = brief_amount if resource == "disk" else amount
    return written(resource, value, language)


def moment(at: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """A date and time: "22 November 2026, 14:05 UTC"."""
    return language.gettext(
        "%(date)s, %(time)s %(zone)s",
        date=day(at, language, zone),
        time=clock_time(at, language, zone),
        zone=zone_name(at, zone),
    )


def end(at: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """When something is over: a date and time, or "the end of 31 December 2026" at midnight, which
    people do not take for a part of the next day."""
    if datetime.fromtimestamp(at, zone).time() != time():
        return moment(at, language, zone)
    return language.gettext("the end of %(date)s", date=day(at - 1, language, zone))


def clock_time(
    at: float, language: Language = ENGLISH, zone: tzinfo = UTC, *, seconds: bool = False
) -> str:
    """A time of day: "14:05", "14:05:30"."""
    form = "medium" if seconds else "short"
    return format_time(datetime.fromtimestamp(at, zone), form, locale=language.locale)


def zone_name(at: float, zone: tzinfo) -> str:
    """What the zone's time is called then: "CET", "UTC", "UTC+03" where it has no letters."""
    name = datetime.fromtimestamp(at, zone).strftime("%Z")
    return name if name[:1].isalpha() else f"UTC{name}"


def brief_date(at: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """A day where the year goes without saying: "22 Nov"."""
    return format_skeleton("MMMd", datetime.fromtimestamp(at, zone), locale=language.locale)


def span(start: float, end: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """From when to when, with the date said once where that is enough."""
    same_day = day(start, language, zone) == day(end, language, zone)
    if not same_day or zone_name(start, zone) != zone_name(end, zone):
        return language.gettext(
            "%(start)s to %(end)s",
            start=moment(start, language, zone),
            end=moment(end, language, zone),
        )
    return language.gettext(
        "%(date)s, %(start)s to %(end)s %(zone)s",
        date=day(start, language, zone),
        start=clock_time(start, language, zone),
        end=clock_time(end, language, zone),
        zone=zone_name(end, zone),
    )


def during(start: float, end: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """From when to when, as a part of a sentence: "on 22 November 2026 from 14:00 to 14:05 UTC"."""
    same_day = day(start, language, zone) == day(end, language, zone)
    if not same_day or zone_name(start, zone) != zone_name(end, zone):
        return language.gettext(
            "from %(start)s until %(end)s",
            start=moment(start, language, zone),
            end=moment(end, language, zone),
        )
    seconds = end - start < _EXACT_BELOW_SECONDS
    return language.gettext(
        "on %(date)s from %(start)s to %(end)s %(zone)s",
        date=day(start, language, zone),
        start=clock_time(start, language, zone, seconds=seconds),
        end=clock_time(end, language, zone, seconds=seconds),
        zone=zone_name(end, zone),
    )


def span_to_end(start: float, over: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """From when until when something holds."""
    last = end(over, language, zone)
    if last == moment(over, language, zone):
        return span(start, over, language, zone)
    return language.gettext("%(start)s to %(end)s", start=moment(start, language, zone), end=last)


def from_now(at: float, now: float, language: Language = ENGLISH) -> str:
    """How far away a time is: "in 3 hours", "20 minutes ago", "now"."""
    if abs(at - now) < 1:
        return language.gettext("now")
    return figures.from_now(at - now, language)


def percent(share: float | None, language: Language = ENGLISH) -> str:
    """A share for people: "23 %"; "not measured" when there is none."""
    if share is None:
        return language.gettext("not measured")
    return figures.percent(share, language)


def day(at: float, language: Language = ENGLISH, zone: tzinfo = UTC) -> str:
    """A date: "22 November 2026"."""
    return format_date(datetime.fromtimestamp(at, zone), "long", locale=language.locale)
