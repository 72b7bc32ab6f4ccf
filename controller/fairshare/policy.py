"""A policy: whom the rule calls disproportionate, and how long everything takes.

Read from `config/policies/*.toml`. Each default says where it comes from.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fairuse_protocol.messages import Resource
from fairuse_protocol.settings import Settings, require
from fairuse_protocol.units import Duration

Severity = Literal["low", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "high", "critical")


def _require_share(key: str, value: float) -> None:
    require(0 <= value <= 1, key, expected="a share from 0 to 1", found=value)


class Thresholds(Settings):
    """When one resource counts as contended, and a neighbour as harmed.

    Shares of time: a waiting of 0.1 means that something waited in a tenth of the interval.
    """

    contended_waiting: float = 0.10
    contended_utilisation: float = 0.90
    busy_floor: float = 0.75
    """Of a capacity that is known: under this, waiting has another cause than want of it. Disks
    and uplinks are often recorded a quarter too large, and are full at 0.8 then."""
    harmed_waiting: float = 0.10

    def __post_init__(self) -> None:
        """All are shares."""
        _require_share("contended_waiting", self.contended_waiting)
        _require_share("contended_utilisation", self.contended_utilisation)
        _require_share("busy_floor", self.busy_floor)
        _require_share("harmed_waiting", self.harmed_waiting)


class Rule(Settings):
    """The disproportionate-share rule (design: "The rule")."""

    window: Duration = Duration(20 * 60)
    """Long enough that a nightly job's peak passes, short enough that neighbours are helped."""
    requires: Literal["both", "interference", "share", "either"] = "both"
    """Which limbs (Secure Packet 1.11) have to hold. interference: a neighbour waits, and this
    tenant is the cause. share: usage is `ratio` times the fair share while the host is short."""
    ratio: float = 2.0
    """Usage over fair share from which a tenant is over."""
    min_share: float = 0.1
    """Of the host's capacity: under this nobody is a problem, whatever its ratio."""
    cause_share: float = 0.3
    """Of everything that is used over fair share: so much is this tenant's doing. Under a half,
    so that two who are equally heavy are both told, and neither hides behind the other."""
    for_share: float = 0.6
    """Of the measured time in the window that has to count."""
    measured_share: float = 0.5
    """Of the window that has to have been measured at all."""
    cpu: Thresholds = Thresholds(busy_floor=0.85)
    disk: Thresholds = Thresholds()
    net_in: Thresholds = Thresholds(harmed_waiting=0.02, contended_waiting=0.02)
    net_out: Thresholds = Thresholds(harmed_waiting=0.02, contended_waiting=0.02)

    def __post_init__(self) -> None:
        """Thresholds that nothing or everything would meet are refused."""
        require(self.ratio >= 1, "ratio", expected="1 or more", found=self.ratio)
        require(
            1 <= self.window <= 7 * 86400, "window", expected="1s to 7d", found=str(self.window)
        )
        for key in ("min_share", "cause_share", "for_share", "measured_share"):
            _require_share(key, getattr(self, key))

    def thresholds(self, resource: Resource) -> Thresholds:
        """The thresholds of one resource."""
        match resource:
            case "cpu":
                return self.cpu
            case "disk":
                return self.disk
            case "net-in":
                return self.net_in
            case "net-out":
                return self.net_out


KeptRule = dict[str, Any]
"""A rule as it is kept beside the evidence that it was applied to: plain numbers by name."""


def keep_rule(rule: Rule) -> KeptRule:
    """The rule in the form that is stored."""
    kept: KeptRule = msgspec.to_builtins(rule, enc_hook=float)
    return kept


def kept_rule(kept: KeptRule) -> Rule:
    """The rule out of its stored form."""
    return msgspec.convert(kept, Rule, dec_hook=lambda kind, value: kind(value))


class SeverityStep(Settings):
    """From here on a case is this severe: both have to be reached."""

    harmed_share: float
    """Of the neighbours on the host, those harmed."""
    waiting: float
    """Their mean share of time spent waiting."""
    deadline: Duration
    """From the acceptance of the notice to a limit: the reasonable time, by risk."""

    def __post_init__(self) -> None:
        """Both are shares, and nobody can answer in no time."""
        _require_share("harmed_share", self.harmed_share)
        _require_share("waiting", self.waiting)
        require(self.deadline >= 1, "deadline", expected="1s or more", found=str(self.deadline))


class Severities(Settings):
    """Severity sets the deadline."""

    low: SeverityStep = SeverityStep(harmed_share=0, waiting=0, deadline=Duration(24 * 3600))
    high: SeverityStep = SeverityStep(harmed_share=0.25, waiting=0.2, deadline=Duration(4 * 3600))
    critical: SeverityStep = SeverityStep(harmed_share=0.5, waiting=0.4, deadline=Duration(3600))

    def step(self, severity: Severity) -> SeverityStep:
        """The step of that name."""
        match severity:
            case "low":
                return self.low
            case "high":
                return self.high
            case "critical":
                return self.critical


class Times(Settings):
    """How long the other waits are."""

    subsides_after: Duration = Duration(15 * 60)
    """No longer disproportionate for this long: the case closes by itself."""
    acknowledged: Duration = Duration(4 * 3600)
    """What an acknowledgement stops the clock for, once a case."""
    more_time: Duration = Duration(24 * 3600)
    """What a customer who asks for time gets at once, once a case."""
    solved_check: Duration = Duration(15 * 60)
    """For how long "it is solved" is given before it is checked."""
    repeat_within: Duration = Duration(7 * 86400)
    repeat_deadline_factor: float = 0.5
    """A repeat gets this part of the deadline."""
    quiet_after_dismissal: Duration = Duration(24 * 3600)
    """An operator's no stands for this long."""

    def __post_init__(self) -> None:
        """A repeat may not wait longer than a first case, nor not at all."""
        require(
            0 < self.repeat_deadline_factor <= 1,
            "repeat_deadline_factor",
            expected="more than 0 and at most 1",
            found=self.repeat_deadline_factor,
        )


class LimitTerms(Settings):
    """How a limit starts, moves and ends (design: "A limit")."""

    lease: Duration = Duration(15 * 60)
    headroom: float = 1.25
    """A limit starts no lower than this times the fair share."""
    step_down: float = 0.5
    """It starts, and steps, down to this part of what was used, or of the limit before."""
    ease: float = 1.25
    """It rises by this factor when neighbours no longer wait; 1 keeps it where it is."""
    step_every: Duration = Duration(120)
    """A change is given this long to show its effect."""
    helps_by: float = 0.2
    """Neighbours' waiting has to fall by this part of what it was, or the limit ends early."""
    max_limits_per_host: int = 2
    max_limits: int = 20
    """At a time, in the whole fleet (promise 8)."""

    def __post_init__(self) -> None:
        """A limit under the fair share would break promise 4."""
        require(self.headroom >= 1, "headroom", expected="1 or more", found=self.headroom)
        require(
            0 < self.step_down < 1, "step_down", expected="between 0 and 1", found=self.step_down
        )
        require(self.ease >= 1, "ease", expected="1 or more", found=self.ease)
        require(1 <= self.lease <= 86400, "lease", expected="1s to 1d", found=str(self.lease))
        _require_share("helps_by", self.helps_by)


class Policy(Settings):
    """One provider's policy."""

    name: str = "default"
    clause: str = ""
    """What the notice cites, in the provider's words."""
    rule: Rule = Rule()
    severity: Severities = Severities()
    times: Times = Times()
    limit: LimitTerms = LimitTerms()
