"""What changes for whom between two policies: pure, setting by setting, in plain words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import msgspec

from controller.fairshare.meanings import Effect, Meaning, limbs, meaning_of
from controller.fairshare.plain import RESOURCE_WORDS, language, length, share, written
from controller.fairshare.policy import Policy, Requires
from controller.fairshare.sense import threshold_table
from fairuse_protocol.messages import RESOURCES, Message
from fairuse_protocol.units import Duration

_OPPOSITE: dict[Effect, Effect] = {"milder": "stricter", "stricter": "milder", "other": "other"}
_FACTORS = ("rule.ratio", "limit.headroom", "limit.ease")
_WHOM = {
    "rule": "everybody on shared hosts",
    "severity": "customers with a case",
    "times": "customers with a case",
    "limit": "customers with a limit",
}
_UNUSED: dict[Requires, tuple[str, ...]] = {
    "both": (),
    "either": (),
    "interference": ("rule.ratio", "rule.min_share"),
    "share": ("rule.cause_share",),
}
"""What the rule does not look at when these limbs are required."""
_RESOURCES = {threshold_table(resource): RESOURCE_WORDS[resource] for resource in RESOURCES}


class Change(Message):
    """One setting that differs."""

    key: str
    before: str
    after: str
    """As they stand in a policy's file."""
    effect: Effect
    whom: str
    meaning: str


def changes(before: Policy, after: Policy) -> tuple[Change, ...]:
    """Everything that differs, in the order of a policy's file."""
    old, new = dict(_settings(before)), dict(_settings(after))
    return tuple(
        _change(key, old[key], new[key], before, after) for key in old if old[key] != new[key]
    )


def _settings(table: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting with its key, counted from the top."""
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, msgspec.Struct):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _change(key: str, old: Any, new: Any, before: Policy, after: Policy) -> Change:
    if key == "rule.requires":
        text, effect = limbs(old, new)
    elif all(key in _UNUSED[policy.rule.requires] for policy in (before, after)):
        text, effect = f'Nothing, while requires = "{after.rule.requires}".', "other"
    else:
        meaning = meaning_of(key)
        text = _sentence(meaning, key, old, new) + _aside(key, before, after)
        effect = _effect(meaning, old, new)
    return Change(
        key=key,
        before=written(old),
        after=written(new),
        effect=effect,
        whom=_WHOM.get(key.split(".", maxsplit=1)[0], "all customers"),
        meaning=text,
    )


def _sentence(meaning: Meaning, key: str, old: Any, new: Any) -> str:
    ordered = isinstance(old, (int, float))
    rises = ordered and new > old
    low, high = (old, new) if rises else (new, old)
    table, _, _ = key.rpartition(".")
    sentence = (meaning.higher if rises else meaning.lower).format(
        old=_said(key, old),
        new=_said(key, new),
        low=_said(key, low),
        high=_said(key, high),
        resource=_RESOURCES.get(table, ""),
        severity=table.removeprefix("severity."),
    )
    return sentence[0].upper() + sentence[1:]


def _said(key: str, value: Any) -> str:
    """A value in a sentence: lengths and shares in words, names in quotes."""
    if value is None:
        return "always" if key == "effective" else "no day"
    if key == "language":
        return language(value)
    if isinstance(value, Duration):
        return length(value) if value else "no time"
    if isinstance(value, (str, dt.date)):
        return f'"{value}"' if value and isinstance(value, str) else written(value)
    return f"{value:g}" if isinstance(value, int) or key in _FACTORS else share(value)


def _effect(meaning: Meaning, old: Any, new: Any) -> Effect:
    if not isinstance(old, (int, float)):
        return "other"
    return meaning.when_higher if new > old else _OPPOSITE[meaning.when_higher]


def _aside(key: str, before: Policy, after: Policy) -> str:
    """What follows from the change together with other settings."""
    match key.split("."):
        case ["rule", "window"]:
            least = [
                length(Duration(round(policy.rule.window * policy.rule.for_share)))
                for policy in (after, before)
            ]
            return f" At least {least[0]} of it has to count, instead of {least[1]}."
        case ["severity", "low", "harmed_share" | "waiting"]:
            return " That is not looked at: what is not worse is low."
        case ["severity", "high" | "critical" as severity, "harmed_share" | "waiting"]:
            worse = after.severity.step(severity).deadline
            milder = after.severity.step("high" if severity == "critical" else "low").deadline
            return f" It decides between {length(worse)} and {length(milder)}."
    return ""
