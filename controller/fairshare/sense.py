"""Whether a policy makes sense as a whole: what nothing, or everything, would meet is refused.

Each check names the key that it refuses as `require` does, from the top of the policy's file.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from controller.language.catalogue import languages
from fairuse_protocol.messages import RESOURCES, Resource
from fairuse_protocol.settings import require

if TYPE_CHECKING:  # policy.py calls this module for every policy that is made
    from controller.fairshare.policy import Policy, Rule, Thresholds


def check_policy(policy: Policy) -> None:
    """Raise ValueError for the first thing in `policy` that cannot be meant."""
    _check_name(policy)
    _check_language(policy)
    _check_version(policy)
    _check_rule(policy.rule)
    for resource in RESOURCES:
        thresholds = policy.rule.thresholds(resource)
        _check_thresholds(thresholds, threshold_table(resource), policy.rule)
    _check_deadlines(policy)


def threshold_table(resource: Resource) -> str:
    """The table of a resource's thresholds, as it is written in a policy's file."""
    return f"rule.{resource.replace('-', '_')}"


def _check_name(policy: Policy) -> None:
    for key in ("name", "version", "override_reason"):
        text = getattr(policy, key)
        require(
            text == text.strip() and text.isprintable(),
            key,
            expected="one line without spaces around it",
            found=repr(text),
        )
    require(bool(policy.name), "name", expected="a name", found='""')
    require(
        not policy.clause or policy.name != "default",
        "name",
        expected="the name of the policy that the clause is quoted from",
        found='"default"',
    )


def _check_language(policy: Policy) -> None:
    require(
        policy.language in languages(),
        "language",
        expected=f"one of {', '.join(sorted(languages()))}",
        found=f'"{policy.language}"',
    )


def _check_version(policy: Policy) -> None:
    dated = policy.effective or policy.announced or policy.former_version_for
    require(
        bool(policy.version) or not dated,
        "version",
        expected="a version, since effective, announced or former_version_for is given",
        found='""',
    )
    if policy.effective is None or policy.override_reason or not policy.notice_period:
        return
    require(
        policy.announced is not None,
        "announced",
        expected=f"the day on which customers were told, since notice_period is "
        f"{policy.notice_period} (or an override_reason)",
        found="none",
    )
    if policy.announced is not None:
        days = math.ceil(policy.notice_period / 86400)
        earliest = policy.announced + dt.timedelta(days=days)
        require(
            policy.effective >= earliest,
            "effective",
            expected=f"{earliest} or later, {policy.notice_period} after it was announced "
            "(or an override_reason)",
            found=str(policy.effective),
        )


def _check_rule(rule: Rule) -> None:
    require(math.isfinite(rule.ratio), "rule.ratio", expected="a number", found=rule.ratio)
    if rule.requires != "interference":
        require(
            rule.min_share < 1,
            "rule.min_share",
            expected="less than 1, or nobody could use that much",
            found=rule.min_share,
        )
    if rule.requires != "share":
        require(
            rule.cause_share > 0,
            "rule.cause_share",
            expected="more than 0, or everybody over their fair share would be the cause",
            found=rule.cause_share,
        )
    for key in ("for_share", "measured_share"):
        share = getattr(rule, key)
        require(
            share > 0,
            f"rule.{key}",
            expected="more than 0, or a single moment would be enough",
            found=share,
        )
    require(
        rule.measured_share < 1,
        "rule.measured_share",
        expected="less than 1, or no verdict could be reached: the newest interval always "
        "arrives a little after it ended",
        found=rule.measured_share,
    )


def _check_thresholds(thresholds: Thresholds, table: str, rule: Rule) -> None:
    require(
        thresholds.contended_waiting < 1 or thresholds.contended_utilisation < 1,
        f"{table}.contended_waiting",
        expected="less than 1 here or in contended_utilisation, or nothing would be contended",
        found=f"{thresholds.contended_waiting} and {thresholds.contended_utilisation}",
    )
    for key in ("contended_waiting", "contended_utilisation"):
        share = getattr(thresholds, key)
        require(
            share > 0,
            f"{table}.{key}",
            expected="more than 0, or an idle host would be contended",
            found=share,
        )
    if rule.requires == "share":
        return
    require(
        thresholds.harmed_waiting > 0,
        f"{table}.harmed_waiting",
        expected="more than 0, or neighbours that never wait would be harmed",
        found=thresholds.harmed_waiting,
    )
    require(
        thresholds.harmed_waiting < 1 or rule.requires == "either",
        f"{table}.harmed_waiting",
        expected="less than 1, or no neighbour could be harmed",
        found=thresholds.harmed_waiting,
    )


def _check_deadlines(policy: Policy) -> None:
    least = policy.times.mail_arrives_within
    why = f"{least} or more: times.mail_arrives_within forbids a deadline before the mail can "
    why += "have arrived"
    steps = {
        "low": policy.severity.low,
        "high": policy.severity.high,
        "critical": policy.severity.critical,
    }
    for name, step in steps.items():
        require(
            step.deadline >= least,
            f"severity.{name}.deadline",
            expected=why,
            found=str(step.deadline),
        )
    factor = policy.times.repeat_deadline_factor
    shortest = type(least)(policy.severity.critical.deadline * factor)
    require(
        shortest >= least,
        "times.repeat_deadline_factor",
        expected=f"a factor that leaves a repeat {why}",
        found=f"{factor}, which leaves {shortest} of severity.critical.deadline",
    )
