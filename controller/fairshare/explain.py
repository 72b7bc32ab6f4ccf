"""A policy in plain words: whom it writes to, how long they have, what a limit does.

Pure, so that whoever has the policy can show it: the command line, the controller's pages.
"""

from __future__ import annotations

from controller.fairshare.plain import RESOURCE_WORDS, language, length, share, times
from controller.fairshare.policy import SEVERITIES, Policy, Requires, Rule, Severity
from fairuse_protocol.messages import RESOURCES, Message, Resource
from fairuse_protocol.units import Duration


class Line(Message):
    """One thing that a policy does."""

    label: str
    text: str


class Section(Message):
    """What a policy says of one matter."""

    title: str
    lines: tuple[Line, ...]


class Explanation(Message):
    """A whole policy in plain words."""

    key: str
    """Name and version."""
    clause: str
    sections: tuple[Section, ...]


def explain(policy: Policy) -> Explanation:
    """What `policy` means for customers and their neighbours."""
    return Explanation(
        key=policy.key,
        clause=policy.clause,
        sections=(
            Section(title="Whom it writes to", lines=_whom(policy.rule)),
            Section(title="When a host is short", lines=_short(policy.rule)),
            Section(title="How long they have", lines=_how_long(policy)),
            Section(title="What an answer does", lines=_answers(policy)),
            Section(title="What a limit does", lines=_limit(policy)),
            Section(title="This version", lines=_version(policy)),
        ),
    )


def _whom(rule: Rule) -> tuple[Line, ...]:
    counts = f"{share(rule.for_share)} of the measured time of {length(rule.window)}"
    is_cause = f"at least {share(rule.cause_share)} of all use over fair share is theirs"
    over = (
        f"use at least {times(rule.ratio)} their fair share and at least "
        f"{share(rule.min_share)} of the host"
    )
    harmed = f"neighbours within their own share wait, and {is_cause}"
    who: dict[Requires, str] = {
        "both": f"{over}, while the host is short of it, {harmed}",
        "interference": f"use more than their fair share, while {harmed}",
        "share": f"{over}, while the host is short of it or close to its limit",
        "either": f"{over}, while the host is short of it or close to its limit; or use "
        f"more than their fair share, while {harmed}",
    }
    nobody = (
        "for using what no neighbour is waiting for"
        if rule.requires in ("both", "interference")
        else "for using what the host has plenty of. They may be written to before any "
        "neighbour waits"
    )
    return (
        Line(label="customers", text=f"who, for at least {counts}, {who[rule.requires]}"),
        Line(label="nobody", text=nobody),
        Line(
            label="unknown",
            text=f"nothing is decided unless {share(rule.measured_share)} of the "
            f"{length(rule.window)} was measured",
        ),
    )


def _short(rule: Rule) -> tuple[Line, ...]:
    return tuple(
        Line(label=RESOURCE_WORDS[resource], text=_shortage(rule, resource))
        for resource in RESOURCES
    )


def _shortage(rule: Rule, resource: Resource) -> str:
    thresholds = rule.thresholds(resource)
    network = resource in ("net-in", "net-out")
    ways = []
    if thresholds.contended_utilisation < 1:
        ways.append(f"{share(thresholds.contended_utilisation)} is in use")
    if thresholds.contended_waiting < 1:
        waiting = share(thresholds.contended_waiting)
        held_up = f"{waiting} of packets are held up or dropped"
        busy = f" while {share(thresholds.busy_floor)} is in use" if thresholds.busy_floor else ""
        waits = held_up if network else f"something waits {waiting} of the time"
        ways.append(f"{waits}{busy}")
    text = f"when {', or '.join(ways)}"
    if rule.requires == "share":
        return text
    unit = "of packets" if network else "of the time"
    return f"{text}; a neighbour is harmed from {share(thresholds.harmed_waiting)} {unit}"


def _how_long(policy: Policy) -> tuple[Line, ...]:
    factor, within = policy.times.repeat_deadline_factor, policy.times.repeat_within
    repeats = factor < 1 and within > 0
    lines = []
    for severity in SEVERITIES:
        deadline = policy.severity.step(severity).deadline
        again = f", for a repeat {length(Duration(deadline * factor))}" if repeats else ""
        lines.append(
            Line(label=severity, text=f"{length(deadline)}{again}: {_reached(policy, severity)}")
        )
    if repeats:
        lines.append(
            Line(label="a repeat", text=f"is a case that starts again within {length(within)}")
        )
    subsides, before = length(policy.times.subsides_after), policy.times.remind_before
    if before > 0:
        text = f"{length(before)} before it, where it left twice that and they have not answered"
        lines.append(Line(label="reminded", text=text))
    return (
        *lines,
        Line(label="counted", text="from when their channel accepted the notice"),
        Line(label="over", text=f"when nothing counts for {subsides}: the case closes by itself"),
    )


def _reached(policy: Policy, severity: Severity) -> str:
    if severity == "low":
        return "whatever is no worse"
    step = policy.severity.step(severity)
    return f"{share(step.harmed_share)} of neighbours wait {share(step.waiting)} of the time"


def _answers(policy: Policy) -> tuple[Line, ...]:
    given = policy.times
    return (
        Line(label="acknowledged", text=f"no limit for another {length(given.acknowledged)}"),
        Line(label="more time", text=f"the deadline moves by {length(given.more_time)}, at once"),
        Line(
            label="solved",
            text=f"{length(given.solved_check)} to show it; a limit that stands is lifted",
        ),
        Line(label="disputed", text="a person decides; the clock stops"),
        Line(label="no answer", text="stops nothing"),
    )


def _limit(policy: Policy) -> tuple[Line, ...]:
    terms = policy.limit
    if not (terms.max_limits and terms.max_limits_per_host):
        return (Line(label="none", text="no limit ever starts"),)
    eases = (
        f"rises by {share(terms.ease - 1)} when they do not" if terms.ease > 1 else "never rises"
    )
    return (
        Line(
            label="starts",
            text=f"at {share(terms.step_down)} of what was used, and never under "
            f"{times(terms.headroom)} the fair share",
        ),
        Line(
            label="moves",
            text=f"every {length(terms.step_every)}: falls to {share(terms.step_down)} of itself "
            f"while neighbours wait, {eases}; never under the fair share",
        ),
        Line(
            label="ends",
            text=f"after {length(terms.lease)} at the latest; earlier when the host has room, or "
            f"when neighbours' waiting has not fallen by {share(terms.helps_by)}",
        ),
        Line(label="a day", text=f"{length(terms.max_per_day)} in 24 hours at most"),
        Line(
            label="together",
            text=f"{terms.max_limits_per_host} at a time on a host, {terms.max_limits} in all",
        ),
    )


def _version(policy: Policy) -> tuple[Line, ...]:
    applies = "from the beginning" if policy.effective is None else f"from {policy.effective}, UTC"
    if policy.announced is not None:
        applies += f"; announced on {policy.announced}"
    notice = (
        f"{length(policy.notice_period)} before a version applies"
        if policy.notice_period
        else "no time is promised"
    )
    if policy.override_reason:
        notice += f"; overridden: {policy.override_reason}"
    stay = (
        f"customers may stay on it for {length(policy.former_version_for)}"
        if policy.former_version_for
        else "nobody may stay on it"
    )
    return (
        Line(label="applies", text=applies),
        Line(label="told", text=notice),
        Line(label="version before", text=stay),
        Line(label="language", text=language(policy.language)),
    )
