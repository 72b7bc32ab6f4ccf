"""A verdict in one sentence that a customer can check against their own server."""

from __future__ import annotations

from controller.fairshare.evidence import Verdict
from fairuse_protocol.messages import Resource
from fairuse_protocol.units import Rate


def sentence(verdict: Verdict, *, whose: str = "your server") -> str:
    """What was seen, with the figures: the customer's sentence."""
    return (
        f"Over the last {duration(verdict.window_seconds)} {whose} {_used(verdict)} on average, "
        f"{verdict.ratio:.1f} times its fair share of {_bare(verdict, verdict.average_fair_share)},"
        f" while {_waiting(verdict)}."
    )


def amount(resource: Resource, value: float) -> str:
    """An amount of a resource for people: "6.2 CPU cores", "48 Mbit/s", "62 % of the disks"."""
    match resource:
        case "cpu":
            return f"{_figure(value)} CPU core{'' if _figure(value) == '1' else 's'}"
        case "disk":
            return f"{percent(value)} of what the disks can do"
        case "net-in" | "net-out":
            return Rate(value).in_bits


def waited(resource: Resource, share: float) -> str:
    """How much somebody waited, in the terms in which that resource's waiting is measured."""
    if resource in ("net-in", "net-out"):
        return f"{percent(share)} of packets held up"
    return f"{percent(share)} of the time"


def duration(seconds: float) -> str:
    """A length of time in words: "20 minutes", "8 seconds", "2 hours"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or seconds == length:
            count = round(seconds / length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    count = max(0, round(seconds))
    return f"{count} second{'' if count == 1 else 's'}"


def _used(verdict: Verdict) -> str:
    used, capacity = verdict.average_used, verdict.capacity
    match verdict.resource:
        case "cpu":
            return f"used {_figure(used)} of this machine's {amount('cpu', capacity)}"
        case "disk":
            return f"took {amount('disk', used)}"
        case "net-in":
            return f"received {amount('net-in', used)} of this machine's {Rate(capacity).in_bits}"
        case "net-out":
            return f"sent {amount('net-out', used)} of this machine's {Rate(capacity).in_bits}"


def _waiting(verdict: Verdict) -> str:
    """Who waited, in the terms in which it was measured: time, or packets of the uplink."""
    one = verdict.neighbours_harmed == 1
    others = f"{verdict.neighbours_harmed} other customer" + ("'s server" if one else "s' servers")
    share = waited(verdict.resource, verdict.neighbours_waiting)
    match verdict.resource:
        case "cpu":
            return f"{others} there waited for CPU {share}"
        case "disk":
            return f"{others} there waited for the disks {share}"
        case "net-in" | "net-out":
            return f"{others} there waited for the network, with {share}"


def _bare(verdict: Verdict, value: float) -> str:
    match verdict.resource:
        case "cpu":
            return _figure(value)
        case "disk":
            return percent(value)
        case "net-in" | "net-out":
            return Rate(value).in_bits


def _figure(value: float) -> str:
    text = f"{value:.1f}" if value >= 1 else f"{value:.2f}"
    return text.removesuffix(".0")


def percent(share: float) -> str:
    """A share for people: "23 %", and "0.4 %" where whole percents would hide it."""
    hundredths = share * 100
    return f"{hundredths:.0f} %" if hundredths >= 1 or not share else f"{hundredths:.1f} %"
