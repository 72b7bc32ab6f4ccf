"""Times and names in plain words, the same in mails and on pages. Always UTC, and said so."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.fairshare import sentence
from controller.fairshare.sentence import amount, duration
from fairuse_protocol.messages import Resource

RESOURCE_NAMES: dict[Resource, str] = {
    "cpu": "CPU time",
    "disk": "disk time",
    "net-in": "incoming network traffic",
    "net-out": "outgoing network traffic",
}
CAPACITY_NAMES: dict[Resource, str] = {
    "cpu": "The whole machine",
    "disk": "All that the disks can do",
    "net-in": "The whole machine",
    "net-out": "The whole machine",
}


def brief_amount(resource: Resource, value: float) -> str:
    """An amount where its surroundings say of what: "6.2", "62 %", "48 Mbit/s"."""
    return amount(resource, value).partition(" CPU")[0].partition(" of ")[0]


def figure(resource: Resource, value: float) -> str:
    """An amount beside a label, which for disks says already what the share is of."""
    return brief_amount(resource, value) if resource == "disk" else amount(resource, value)


def moment(at: float) -> str:
    """A date and time: "22 November 2026, 14:05 UTC"."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def clock_time(at: float) -> str:
    """A time of day: "14:05"."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"


def span(start: float, end: float) -> str:
    """From when to when, with the date said once where that is enough."""
    same_day = datetime.fromtimestamp(start, UTC).date() == datetime.fromtimestamp(end, UTC).date()
    if same_day:
        return f"{moment(start).removesuffix(' UTC')} to {clock_time(end)} UTC"
    return f"{moment(start)} to {moment(end)}"


def from_now(at: float, now: float) -> str:
    """How far away a time is: "in 3 hours", "20 minutes ago", "now"."""
    if abs(at - now) < 1:
        return "now"
    return f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"


def percent(share: float | None) -> str:
    """A share for people: "23 %"; "not measured" when there is none."""
    return "not measured" if share is None else sentence.percent(share)
