"""What it means for people when a setting of a policy changes: a sentence for every setting.

`{old}` and `{new}` are the values before and after, `{low}` and `{high}` the smaller and the
larger of them, `{resource}` and `{severity}` what the setting's table is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller.fairshare.policy import Requires

Effect = Literal["milder", "stricter", "other"]
"""For the customer who uses much: later or seldomer written to or limited, or the opposite."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a higher and what a lower value brings about."""

    higher: str
    lower: str
    when_higher: Effect


def _band(subject: str, no_more: str, now: str) -> Meaning:
    """A threshold: what lies between the old and the new one changes sides."""
    return Meaning(f"{subject} {no_more}.", f"{subject} {now}.", "milder")


def _swap(sentence: str, when_higher: Effect) -> Meaning:
    return Meaning(f"{sentence}.", f"{sentence}.", when_higher)


_WRITTEN = ("are no longer written to", "are written to from now on, if all else holds")
_COUNTED = ("no longer count as short of it", "count as short of it from now on")
_TOP: dict[str, Meaning] = {
    "name": _swap("Notices and histories name the policy {new} instead of {old}", "other"),
    "version": _swap("This is version {new} instead of {old}", "other"),
    "clause": _swap("Notices cite other words, or none", "other"),
    "language": _swap("Notices are in {new} instead of {old}, where nothing else is said", "other"),
    "effective": _swap("The version applies from {new} instead of {old}", "other"),
    "announced": _swap("Customers are told on {new} instead of {old}", "other"),
    "notice_period": _swap(
        "Customers are told of a version {new} instead of {old} before it applies", "milder"
    ),
    "override_reason": _swap("Why it may apply sooner: {new} instead of {old}", "other"),
    "former_version_for": _swap(
        "Customers may stay on the version before for {new} instead of {old}", "milder"
    ),
}
_RULE: dict[str, Meaning] = {
    "window": _swap("The rule looks back over {new} instead of {old}", "milder"),
    "ratio": _band("Customers between {low} and {high} times their fair share", *_WRITTEN),
    "min_share": _band("Customers who use between {low} and {high} of a host", *_WRITTEN),
    "cause_share": _band(
        "Customers who cause between {low} and {high} of all use over fair share", *_WRITTEN
    ),
    "for_share": _band("Customers for whom {low} to {high} of the measured time counts", *_WRITTEN),
    "measured_share": _band(
        "Windows of which only {low} to {high} was measured",
        "no longer lead to a case",
        "may lead to a case from now on",
    ),
}
_THRESHOLDS: dict[str, Meaning] = {
    "contended_waiting": _band(
        "{resource}: hosts where something waits {low} to {high} of the time", *_COUNTED
    ),
    "contended_utilisation": _band(
        "{resource}: hosts with {low} to {high} in use and little waiting", *_COUNTED
    ),
    "harmed_waiting": _band(
        "{resource}: neighbours that wait {low} to {high} of the time",
        "no longer count as harmed",
        "count as harmed from now on",
    ),
    "busy_floor": _band(
        "{resource}: hosts where something waits with {low} to {high} in use", *_COUNTED
    ),
}
_SEVERITY: dict[str, Meaning] = {
    "deadline": _swap("Customers get {new} instead of {old} at {severity} severity", "milder"),
    "harmed_share": _swap(
        "A case is {severity} from {new} of its neighbours waiting instead of {old}", "milder"
    ),
    "waiting": _swap(
        "A case is {severity} from neighbours waiting {new} on average instead of {old}", "milder"
    ),
}
_TIMES: dict[str, Meaning] = {
    "mail_arrives_within": _swap("No deadline may be under {new} instead of {old}", "milder"),
    "remind_before": _swap(
        "Customers are reminded {new} instead of {old} before their deadline", "other"
    ),
    "subsides_after": _swap(
        "A case closes by itself after {new} instead of {old} in which nothing counts", "stricter"
    ),
    "acknowledged": _swap(
        "Customers who acknowledge are not limited for another {new} instead of {old}", "milder"
    ),
    "more_time": _swap("Customers who ask for time get {new} instead of {old}", "milder"),
    "solved_check": _swap(
        "Customers who say that it is solved have {new} instead of {old} to show it", "milder"
    ),
    "repeat_within": _swap(
        "Customers have the shorter deadline of a repeat for {new} instead of {old} after a case",
        "stricter",
    ),
    "repeat_deadline_factor": _swap(
        "Customers get {new} of the deadline instead of {old} for a repeat", "milder"
    ),
    "quiet_after_dismissal": _swap(
        "Customers whose case was dismissed are left alone for {new} instead of {old}", "milder"
    ),
}
_LIMIT: dict[str, Meaning] = {
    "lease": _swap("A limit ends after {new} instead of {old} at the latest", "stricter"),
    "max_per_day": _swap(
        "Customers may be limited for {new} instead of {old} in 24 hours", "stricter"
    ),
    "headroom": _swap(
        "A limit starts no lower than {new} instead of {old} times the fair share", "milder"
    ),
    "step_down": _swap(
        "A limit starts at, and falls to, {new} instead of {old} of what was", "milder"
    ),
    "ease": _swap(
        "A limit rises to {new} instead of {old} times itself when neighbours no longer wait",
        "milder",
    ),
    "step_every": _swap("A limit moves every {new} instead of every {old}", "other"),
    "helps_by": _swap(
        "A limit ends early unless neighbours' waiting falls by {new} instead of {old}", "milder"
    ),
    "max_limits_per_host": _swap(
        "At most {new} instead of {old} customers of a host are limited at a time", "stricter"
    ),
    "max_limits": _swap(
        "At most {new} instead of {old} customers are limited at a time, in all", "stricter"
    ),
}
_NEEDED: dict[Requires, str] = {
    "both": "Only customers far over their share that harm their neighbours are written to",
    "interference": "Customers are written to for harming neighbours, however little over their "
    "share they are",
    "share": "Customers far over their share on a host near its limit are written to, whether or "
    "not a neighbour is harmed",
    "either": "Customers are written to for harming neighbours, and for being far over their "
    "share on a host near its limit",
}


def meaning_of(key: str) -> Meaning:
    """The meaning of the setting `key`, counted from the top of a policy's file."""
    match key.split("."):
        case [setting]:
            return _TOP[setting]
        case ["rule", setting]:
            return _RULE[setting]
        case ["rule", _, setting]:
            return _THRESHOLDS[setting]
        case ["severity", _, setting]:
            return _SEVERITY[setting]
        case ["times", setting]:
            return _TIMES[setting]
        case ["limit", setting]:
            return _LIMIT[setting]
    raise KeyError(key)


def limbs(old: Requires, new: Requires) -> tuple[str, Effect]:
    """What it means that other limbs are required: "both" asks for most, "either" for least."""
    effect: Effect = "other"
    if new == "both" or old == "either":
        effect = "milder"
    elif old == "both" or new == "either":
        effect = "stricter"
    return f"{_NEEDED[new]}.", effect
