"""A policy: whom the rule calls disproportionate, and how long everything takes.

Read from `config/policies/*.toml`. Each default says where it comes from. Every table checks
itself; `sense` checks what only shows in the policy as a whole.
"""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise
from typing import Any, Literal

import msgspec

from controller.fairshare.sense import check_policy
from fairuse_protocol.messages import Resource
from fairuse_protocol.settings import Settings, require
from fairuse_protocol.units import Duration

Severity = Literal["low", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "high", "critical")
Requires = Literal["both", "interference", "share", "either"]
"""Which limbs make a use disproportionate: harm to neighbours, a multiple of the fair share."""

_DAY_SECONDS = 86400


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


class CpuThresholds(Thresholds):
    """A host's cores are known exactly, so that the floor can be higher."""

    busy_floor: float = 0.85


class NetworkThresholds(Thresholds):
    """Waiting is the share of packets that the uplink dropped or held back: a few are many."""

    contended_waiting: float = 0.02
    harmed_waiting: float = 0.02


class Rule(Settings):
    """The disproportionate-share rule (design: "The rule")."""

    window: Duration = Duration(20 * 60)
    """Long enough that a nightly job's peak passes, short enough that neighbours are helped."""
    requires: Requires = "both"
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
    cpu: CpuThresholds = CpuThresholds()
    disk: Thresholds = Thresholds()
    net_in: NetworkThresholds = NetworkThresholds()
    net_out: NetworkThresholds = NetworkThresholds()

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

    def __post_init__(self) -> None:
        """What is worse is not easier to reach, and leaves no more time."""
        for milder, worse in pairwise(SEVERITIES):
            before, after = self.step(milder), self.step(worse)
            for key in ("harmed_share", "waiting"):
                least, found = getattr(before, key), getattr(after, key)
                expected = f"at least {least} as for severity.{milder}, which is milder"
                require(found >= least, f"{worse}.{key}", expected=expected, found=found)
            require(
                after.deadline <= before.deadline,
                f"{worse}.deadline",
                expected=f"at most {before.deadline} as for severity.{milder}, which is milder",
                found=str(after.deadline),
            )

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

    mail_arrives_within: Duration = Duration(15 * 60)
    """No deadline is shorter. A server that greylists takes a message at its second try, which
    Postfix makes after 5 minutes and Exim after 15, as they come."""
    remind_before: Duration = Duration(2 * 3600)
    """So long before its deadline a customer who has not answered is reminded (Safespring); not of
    a deadline that left less than twice that. 0s: never."""
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
        """A repeat may not wait longer than a first case, nor not at all; nor may an answer."""
        for key in ("subsides_after", "acknowledged", "more_time", "solved_check"):
            given = getattr(self, key)
            require(given > 0, key, expected="more than 0s", found=str(given))
        require(
            0 < self.repeat_deadline_factor <= 1,
            "repeat_deadline_factor",
            expected="more than 0 and at most 1",
            found=self.repeat_deadline_factor,
        )


class LimitTerms(Settings):
    """How a limit starts, moves and ends (design: "A limit")."""

    lease: Duration = Duration(15 * 60)
    max_per_day: Duration = Duration(2 * 3600)
    """How long a tenant may be limited in 24 hours, all its limits of a resource together."""
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
        for key in ("headroom", "ease"):
            factor = getattr(self, key)
            require(1 <= factor < math.inf, key, expected="1 or more", found=factor)
        require(
            0 < self.step_down < 1, "step_down", expected="between 0 and 1", found=self.step_down
        )
        require(
            1 <= self.lease <= _DAY_SECONDS, "lease", expected="1s to 1d", found=str(self.lease)
        )
        require(
            self.max_per_day <= _DAY_SECONDS,
            "max_per_day",
            expected="at most 1d",
            found=str(self.max_per_day),
        )
        require(
            self.lease <= self.max_per_day,
            "lease",
            expected=f"at most limit.max_per_day ({self.max_per_day})",
            found=str(self.lease),
        )
        require(
            0 < self.step_every < self.lease,
            "step_every",
            expected=f"less than limit.lease ({self.lease}), or the limit never moves",
            found=str(self.step_every),
        )
        _require_share("helps_by", self.helps_by)
        for key in ("max_limits_per_host", "max_limits"):
            require(getattr(self, key) >= 0, key, expected="0 or more", found=getattr(self, key))


class Policy(Settings):
    """One version of one provider's policy."""

    name: str = "default"
    version: str = ""
    """Tells versions of one policy apart; any text."""
    clause: str = ""
    """What the notice cites, in the provider's words."""
    language: str = "en"
    """Of the clause, and of mails and pages for customers for whom nothing else is said; as a
    catalogue in controller/language/catalogues is named, or "en"."""
    effective: dt.date | None = None
    """The first day, from 00:00 UTC, on which this version applies; None: it always has."""
    announced: dt.date | None = None
    """The day on which customers were told of it."""
    notice_period: Duration = Duration(0)
    """Customers are told at least this long before it applies."""
    override_reason: str = ""
    """Why it may apply sooner; who gives a reason takes the responsibility."""
    former_version_for: Duration = Duration(0)
    """How long after its effective day a customer may stay on the version before it."""
    rule: Rule = Rule()
    severity: Severities = Severities()
    times: Times = Times()
    limit: LimitTerms = LimitTerms()

    def __post_init__(self) -> None:
        """A policy that cannot work, or that works against everybody, is refused."""
        check_policy(self)

    @property
    def key(self) -> str:
        """Name and version: one of its kind among the policies of a controller."""
        return f"{self.name} {self.version}".strip()
