"""Which notices make one letter, which still wait, and which are not sent at all. Pure.

First notices about one tenant under one policy, whose clause the letter quotes, wait
`group_interval` for others, and go out together; all other notices go out one by one. What is
decided here is stored before anything is sent, and is not decided again: a letter that is sent a
second time holds what it held (promise 5).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controller.cases.model import Case
from controller.contact.notice import Queued
from controller.contact.timing import letter_not_before, not_before
from controller.quiet import QuietTimes
from controller.settings import Contact

MOST_IN_A_LETTER = 20
"""Each brings its figures and a picture; mail servers refuse what is over some megabytes."""
_ALWAYS_TOLD = ("decision", "limit-started", "limit-ended")
"""A customer is never left to find out alone. How many there are, the policy bounds: by
`limit.max_per_day`, and by the first notice that each case needs; what is decided, they asked."""

Thing = tuple[str, str]
"""What a notice is about: a host and one of its resources."""


@dataclass(frozen=True)
class Wait:
    """Not yet."""

    notices: tuple[Queued, ...]
    until: float
    for_quiet: bool
    """Because of the reader's quiet times; else, for others to join."""


@dataclass(frozen=True)
class Send:
    """One letter, from now on for good."""

    notices: tuple[Queued, ...]


@dataclass(frozen=True)
class Withhold:
    """Not sent, and never will be."""

    notice: Queued
    reason: str


Decision = Wait | Send | Withhold


def decide(
    undecided: Sequence[Queued],
    sent: Mapping[Thing, int],
    quiet: QuietTimes,
    settings: Contact,
    policy_name: Callable[[Case], str],
    now: float,
) -> list[Decision]:
    """What to do with one tenant's notices that are in no letter yet, oldest first.

    `sent` counts the last day's notices about each thing; `quiet` is the first contact's;
    `policy_name` names the policy that a case is under.
    """
    decisions: list[Decision] = []
    counted = Counter(sent)
    firsts: defaultdict[str, list[Queued]] = defaultdict(list)
    for notice in undecided:
        case = notice.document.case
        thing = (case.host, case.resource)
        if counted[thing] >= settings.most_a_day and notice.kind not in _ALWAYS_TOLD:
            decisions.append(Withhold(notice, _enough(case.resource, case.host, settings)))
            continue
        counted[thing] += 1
        if notice.kind == "first-notice":
            firsts[policy_name(case)].append(notice)
        else:
            decisions.append(_alone(notice, quiet, now))
    for together in firsts.values():
        decisions += _together(together, quiet, settings.group_interval, now)
    return decisions


def _enough(resource: str, host: str, settings: Contact) -> str:
    return (
        f"the customer was sent {settings.most_a_day} notices about {resource} on {host} in the "
        "last day, which is contact.most_a_day"
    )


def _alone(notice: Queued, quiet: QuietTimes, now: float) -> Decision:
    until = not_before(notice, quiet, now)
    return Send((notice,)) if until <= now else Wait((notice,), until, for_quiet=True)


def _together(
    firsts: Sequence[Queued], quiet: QuietTimes, group_interval: float, now: float
) -> list[Decision]:
    """One that cannot wait takes the others along: they are about the same tenant."""
    awake_at = letter_not_before(firsts, quiet, now)
    critical = any(each.document.case.severity == "critical" for each in firsts)
    complete_at = now if critical else min(each.queued_at for each in firsts) + group_interval
    until = max(awake_at, complete_at)
    if until > now:
        return [Wait(tuple(firsts), until, for_quiet=awake_at > now)]
    return [
        Send(tuple(firsts[start : start + MOST_IN_A_LETTER]))
        for start in range(0, len(firsts), MOST_IN_A_LETTER)
    ]
