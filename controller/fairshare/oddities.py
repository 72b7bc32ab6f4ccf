"""What a policy may say but hardly means: each with the key, and what would come of it."""

from __future__ import annotations

from collections.abc import Iterator

from controller.fairshare.plain import RESOURCE_WORDS, length, share, times
from controller.fairshare.policy import SEVERITIES, Policy, Rule
from controller.fairshare.sense import threshold_table
from fairuse_protocol.messages import RESOURCES, Message

_FEW_TENANTS = 10
_SHORT_WINDOW_SECONDS = 120
"""Twelve of an agent's intervals of 10 s."""


class Oddity(Message):
    """One setting that works, in a way that is worth a second look."""

    key: str
    text: str


def oddities(policy: Policy) -> tuple[Oddity, ...]:
    """Everything odd about `policy`, in the order of its file."""
    return (
        *_of_version(policy),
        *_of_rule(policy.rule),
        *_of_thresholds(policy.rule),
        *_of_severity(policy),
        *_of_limit(policy),
    )


def _of_version(policy: Policy) -> Iterator[Oddity]:
    if policy.name != "default" and not policy.clause:
        yield Oddity(key="clause", text="empty: notices do not say which terms they rest on")
    if policy.override_reason and not (policy.effective and policy.notice_period):
        yield Oddity(key="override_reason", text="there is no notice period that it overrides")
    if policy.effective and policy.announced and policy.announced > policy.effective:
        yield Oddity(key="announced", text="customers are told after the version applies")


def _of_rule(rule: Rule) -> Iterator[Oddity]:
    if rule.requires != "interference" and rule.ratio > _FEW_TENANTS:
        text = f"on a host with fewer than {rule.ratio:g} equal tenants nobody can reach it"
        yield Oddity(key="rule.ratio", text=text)
    if rule.requires == "share" and rule.ratio < 1.5:
        text = f"{times(rule.ratio)} the fair share is no more than an ordinary day brings"
        yield Oddity(key="rule.ratio", text=text)
    if rule.requires != "share" and rule.cause_share > 0.5:
        text = "where two customers are over their share together, neither is written to"
        yield Oddity(key="rule.cause_share", text=text)
    if rule.for_share == 1:
        text = "one quiet interval, and the whole window has to fill again"
        yield Oddity(key="rule.for_share", text=text)
    if rule.window < _SHORT_WINDOW_SECONDS:
        text = f"{length(rule.window)} is a few intervals only: any burst is a case"
        yield Oddity(key="rule.window", text=text)


def _of_thresholds(rule: Rule) -> Iterator[Oddity]:
    for resource in RESOURCES:
        thresholds, table = rule.thresholds(resource), threshold_table(resource)
        if thresholds.busy_floor >= thresholds.contended_utilisation:
            text = "waiting alone never makes a host short where its capacity is known"
            yield Oddity(key=f"{table}.busy_floor", text=text)
        if rule.requires in ("share", "either") and thresholds.contended_utilisation < 0.5:
            used = share(thresholds.contended_utilisation)
            text = f"{RESOURCE_WORDS[resource]}: with {used} in use, most is still to be had"
            yield Oddity(key=f"{table}.contended_utilisation", text=text)


def _of_severity(policy: Policy) -> Iterator[Oddity]:
    low = policy.severity.low
    if low.harmed_share or low.waiting:
        text = "not looked at: what is not worse is low"
        yield Oddity(key="severity.low", text=text)
    for severity in SEVERITIES[1:]:
        step = policy.severity.step(severity)
        if step.waiting == 1:
            yield Oddity(key=f"severity.{severity}.waiting", text="never reached")
        elif not (step.waiting or step.harmed_share):
            text = f"every case is {severity}, and milder deadlines never apply"
            yield Oddity(key=f"severity.{severity}", text=text)


def _of_limit(policy: Policy) -> Iterator[Oddity]:
    terms = policy.limit
    if not (terms.max_limits and terms.max_limits_per_host):
        yield Oddity(key="limit.max_limits", text="0: no limit ever starts")
    elif terms.max_limits_per_host > terms.max_limits:
        text = f"more than the {terms.max_limits} that may stand in all"
        yield Oddity(key="limit.max_limits_per_host", text=text)
    if policy.rule.requires in ("both", "share") and terms.headroom >= policy.rule.ratio:
        text = (
            f"a customer just over {times(policy.rule.ratio)} their fair share is limited to more "
            "than they use"
        )
        yield Oddity(key="limit.headroom", text=text)
    if terms.helps_by == 1:
        text = "a limit ends early unless all waiting is gone"
        yield Oddity(key="limit.helps_by", text=text)
