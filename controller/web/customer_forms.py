"""What the customer fills in, read from their form. Pure.

Nothing is guessed: what is missing or makes no sense is refused with a sentence for them, and
the page that says so still holds what they typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.cases.requests import Wanted
from controller.fairshare.agreement import MAX_TEST_SECONDS
from controller.fairshare.policy import Times
from controller.language.catalogue import message
from controller.language.figures import duration
from controller.web.customer_reader import Reader

LONGEST_NOTE = 2000
LONGEST_NAME = 200
_DAY_SECONDS = 86400.0
LONGEST_AGREEMENT_SECONDS = 5 * 366 * _DAY_SECONDS
_TIMES_OFFERED = (1, 2, 3, 7)
"""Multiples of what the policy gives at once."""


class FormRefused(Exception):
    """What was filled in makes no sense. The message is in the catalogues, for the customer."""


@dataclass(frozen=True)
class TimeOffer:
    """One length of time that the customer can ask for."""

    seconds: int
    label: str


def time_offers(times: Times, reader: Reader, *, used: bool) -> tuple[TimeOffer, ...]:
    """How long a customer may ask for; `used`: they had what is given at once already."""
    language, at_once = reader.language, float(times.more_time)
    offers = []
    for factor in _TIMES_OFFERED:
        length = duration(at_once * factor, language)
        if used:
            label = length
        elif factor == 1:
            label = language.gettext("%(time)s, at once", time=length)
        else:
            label = language.gettext(
                "%(time)s, %(part)s of it at once",
                time=length,
                part=duration(at_once, language),
            )
        offers.append(TimeOffer(round(at_once * factor), label))
    return tuple(offers)


def read_note(form: Mapping[str, str]) -> str:
    """Their own words, line by line, without control characters."""
    return _clean(form.get("note", ""), LONGEST_NOTE)


def read_time(form: Mapping[str, str], offers: Sequence[TimeOffer]) -> float:
    """How many seconds they ask for; the first offer where nothing was chosen."""
    chosen = form.get("seconds", str(offers[0].seconds))
    for offer in offers:
        if str(offer.seconds) == chosen:
            return float(offer.seconds)
    raise FormRefused(message("Please choose one of the lengths of time."))


def read_agreement(form: Mapping[str, str], reader: Reader, *, now: float) -> Wanted:
    """A special agreement up to the end of the day that they chose."""
    try:
        until = reader.end_of_day(form.get("until", ""))
    except OverflowError as error:
        # The day after the last day of the calendar, by which some mean "for ever".
        raise FormRefused(_TOO_FAR) from error
    except ValueError as error:
        raise FormRefused(_NO_DAY) from error
    if not now < until:
        raise FormRefused(_NO_DAY)
    if until > now + LONGEST_AGREEMENT_SECONDS:
        raise FormRefused(_TOO_FAR)
    return Wanted(ends_at=until, asked_by=_name(form), note=read_note(form))


def read_test(form: Mapping[str, str], reader: Reader, *, now: float) -> Wanted:
    """A load test, from when to when."""
    try:
        begins, until = reader.at(form.get("from", "")), reader.at(form.get("until", ""))
    except (ValueError, OverflowError) as error:
        raise FormRefused(
            message("Please tell us when the test begins and ends, as in 2026-11-22 14:00.")
        ) from error
    if not max(begins, now) < until:
        raise FormRefused(message("A test has to end after it begins, and in time to come."))
    if until > now + LONGEST_AGREEMENT_SECONDS:
        raise FormRefused(message("Please tell us of a test less than five years ahead."))
    if until - begins > MAX_TEST_SECONDS:
        raise FormRefused(
            message("A test can last 14 days at most. Please tell us of each one by itself.")
        )
    note = read_note(form)
    if not note:
        raise FormRefused(message("Please tell us what you are going to test."))
    return Wanted(ends_at=until, begins_at=begins, asked_by=_name(form), note=note)


def _name(form: Mapping[str, str]) -> str:
    name = " ".join(_clean(form.get("name", ""), LONGEST_NAME).split())
    if not name:
        raise FormRefused(message("Please tell us your name: an agreement is with somebody."))
    return name


def _clean(typed: str, longest: int) -> str:
    if len(typed) > longest:
        raise FormRefused(message("This text is longer than we can keep. Please shorten it."))
    lines = (
        "".join(character if character.isprintable() else " " for character in line)
        for line in typed.splitlines()
    )
    return "\n".join(lines).strip()


_NO_DAY = message("Please choose the last day, one that is still to come.")
_TOO_FAR = message(
    "Please choose a last day within the next five years: what is to go on for longer is agreed "
    "anew then."
)
