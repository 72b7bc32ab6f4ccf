"""A verdict in a few words that a customer can check against their own server.

What stands here in English is what the catalogues translate: whole clauses, since each language
has an order of its own.
"""

from __future__ import annotations

from decimal import Decimal

from controller.fairshare.evidence import Verdict
from controller.language.catalogue import ENGLISH, Language, message, messages
from controller.language.figures import (
    as_written,
    counted,
    duration,
    figure,
    percent,
    rate,
    times,
    whole,
)
from fairuse_protocol.messages import Resource

__all__ = ["amount", "brief_amount", "duration", "percent", "sentence", "waited"]


def sentence(
    verdict: Verdict, *, whose: str = "", when: str = "", language: Language = ENGLISH
) -> str:
    """What was seen, with the figures: the customer's sentence.

    `whose` names the server in `language`, "your server" unless told; `when` the time that the
    verdict is about, "over the last ..." unless told.
    """
    whose = whose or language.gettext("your server")
    said = _used(verdict, whose, when or _window(verdict, language), language)
    circumstance = _circumstance(verdict, verdict.utilisation, language)
    if circumstance:
        told = language.gettext("%(said)s, %(circumstance)s.", said=said, circumstance=circumstance)
    else:
        told = language.gettext("%(said)s.", said=said)
    sentences = [told[:1].upper() + told[1:]]
    if verdict.usual_used is not None:
        much = brief_amount(verdict.resource, verdict.usual_used, language)
        sentences.append(language.gettext(_USUALLY[verdict.resource], usual=much))
    if verdict.causes > 1:
        sentences.append(_shared(verdict.causes - 1, whose, language))
    return " ".join(sentences)


def amount(resource: Resource, value: float, language: Language = ENGLISH) -> str:
    """An amount of a resource for people: "6.2 CPU cores", "48 Mbit/s", "62 % of the disks"."""
    number = brief_amount(resource, value, language)
    match resource:
        case "cpu":
            return language.ngettext(
                "%(number)s CPU core", "%(number)s CPU cores", as_written(value), number=number
            )
        case "disk":
            return language.gettext("%(share)s of what the disks can do", share=number)
        case "net-in" | "net-out":
            return number


def brief_amount(resource: Resource, value: float, language: Language = ENGLISH) -> str:
    """An amount where its surroundings say of what: "6.2", "62 %", "48 Mbit/s"."""
    match resource:
        case "cpu":
            return figure(value, language)
        case "disk":
            return percent(value, language)
        case "net-in" | "net-out":
            return rate(value, language)


def waited(resource: Resource, share: float, language: Language = ENGLISH) -> str:
    """How much somebody waited, in the terms in which that resource's waiting is measured."""
    waiting = percent(share, language)
    if resource in ("net-in", "net-out"):
        return language.gettext("%(waiting)s of packets held up", waiting=waiting)
    return language.gettext("%(waiting)s of the time", waiting=waiting)


def _told(phrase: _Phrase, count: int | Decimal, language: Language, values: dict[str, str]) -> str:
    """The phrase, in the form for `count` where it has several."""
    if isinstance(phrase, str):
        return language.gettext(phrase, **values)
    return language.ngettext(*phrase, count, **values)


def _window(verdict: Verdict, language: Language) -> str:
    seconds = verdict.window_seconds
    if verdict.samples:
        first = verdict.samples[0]
        measured = verdict.decided_at - (first.ended_at - first.seconds)
        seconds = measured if measured < _NEARLY_ALL * seconds else seconds
    count, unit = counted(seconds)
    return language.ngettext(*_WINDOW[unit], count, count=whole(count, language))


def _used(verdict: Verdict, whose: str, when: str, language: Language) -> str:
    """How much, of how much, and how that compares with the fair share."""
    resource, used, capacity = verdict.resource, verdict.average_used, verdict.capacity
    values = {
        "window": when,
        "server": whose,
        "used": brief_amount(resource, used, language),
        "ratio": times(verdict.ratio, language),
        "share": brief_amount(resource, verdict.average_fair_share, language),
    }
    if verdict.capacity_known:
        values["capacity"] = brief_amount(resource, capacity, language)
        return _told(_USED[resource], as_written(capacity), language, values)
    values["part"] = percent(used / capacity if capacity else 0.0, language)
    return _told(_USED_OF_DELIVERED[resource], as_written(used), language, values)


def _circumstance(verdict: Verdict, utilisation: float | None, language: Language) -> str:
    """What makes it matter: who waited, or how near the machine is to that."""
    harmed = verdict.neighbours_harmed
    if harmed:
        values = {
            "count": whole(harmed, language),
            "waited": percent(verdict.neighbours_waiting, language),
        }
        return _told(_WAITED[verdict.resource], harmed, language, values)
    if utilisation is None:
        return ""
    return language.gettext(_NEARLY_FULL[verdict.resource], full=percent(utilisation, language))


def _shared(others: int, whose: str, language: Language) -> str:
    return language.ngettext(
        "The load came from %(server)s together with %(count)s other customer's server.",
        "The load came from %(server)s together with %(count)s other customers' servers.",
        others,
        server=whose,
        count=whole(others, language),
    )


_NEARLY_ALL = 0.9
"""Of a window: where less of it was measured, that is what is told."""
_Phrase = str | tuple[str, str]
_WINDOW = {
    "day": messages("over the last %(count)s day", "over the last %(count)s days"),
    "hour": messages("over the last %(count)s hour", "over the last %(count)s hours"),
    "minute": messages("over the last %(count)s minute", "over the last %(count)s minutes"),
    "second": messages("over the last %(count)s second", "over the last %(count)s seconds"),
}
_USED: dict[Resource, _Phrase] = {
    "cpu": messages(
        "%(window)s %(server)s used %(used)s of this machine's %(capacity)s CPU core on average, "
        "%(ratio)s times its fair share of %(share)s",
        "%(window)s %(server)s used %(used)s of this machine's %(capacity)s CPU cores on average, "
        "%(ratio)s times its fair share of %(share)s",
    ),
    "disk": message(
        "%(window)s %(server)s took %(used)s of what the disks can do on average, "
        "%(ratio)s times its fair share of %(share)s"
    ),
    "net-in": message(
        "%(window)s %(server)s received %(used)s of this machine's %(capacity)s on average, "
        "%(ratio)s times its fair share of %(share)s"
    ),
    "net-out": message(
        "%(window)s %(server)s sent %(used)s of this machine's %(capacity)s on average, "
        "%(ratio)s times its fair share of %(share)s"
    ),
}
_USED_OF_DELIVERED: dict[Resource, _Phrase] = {
    "cpu": messages(
        "%(window)s %(server)s used %(used)s CPU core on average, %(part)s of what this machine "
        "delivered and %(ratio)s times its fair share of %(share)s",
        "%(window)s %(server)s used %(used)s CPU cores on average, %(part)s of what this machine "
        "delivered and %(ratio)s times its fair share of %(share)s",
    ),
    "disk": message(
        "%(window)s %(server)s took %(part)s of what this machine's disks delivered on average, "
        "%(ratio)s times its fair share of %(share)s"
    ),
    "net-in": message(
        "%(window)s %(server)s received %(used)s on average, %(part)s of what this machine "
        "delivered and %(ratio)s times its fair share of %(share)s"
    ),
    "net-out": message(
        "%(window)s %(server)s sent %(used)s on average, %(part)s of what this machine "
        "delivered and %(ratio)s times its fair share of %(share)s"
    ),
}
"""Where nobody knows what the machine can do, use is compared with what it did."""
_WAITED: dict[Resource, _Phrase] = {
    "cpu": messages(
        "while %(count)s other customer's server there waited for CPU %(waited)s of the time",
        "while %(count)s other customers' servers there waited for CPU %(waited)s of the time",
    ),
    "disk": messages(
        "while %(count)s other customer's server there waited for the disks %(waited)s of the time",
        "while %(count)s other customers' servers there waited for the disks %(waited)s of the "
        "time",
    ),
    **dict.fromkeys(
        ("net-in", "net-out"),
        messages(
            "while %(count)s other customer's server there waited for the network, with "
            "%(waited)s of packets held up",
            "while %(count)s other customers' servers there waited for the network, with "
            "%(waited)s of packets held up",
        ),
    ),
}
_NEARLY_FULL: dict[Resource, str] = {
    "cpu": message("while the machine is at %(full)s of what it can do"),
    "disk": message("while the machine's disks are at %(full)s of what they can do"),
    "net-in": message("while the machine's network is at %(full)s of what it can do"),
    "net-out": message("while the machine's network is at %(full)s of what it can do"),
}
_USUALLY: dict[Resource, str] = {
    "cpu": message("Usually it uses %(usual)s at this hour of the week."),
    "disk": message("Usually it takes %(usual)s at this hour of the week."),
    "net-in": message("Usually it receives %(usual)s at this hour of the week."),
    "net-out": message("Usually it sends %(usual)s at this hour of the week."),
}
