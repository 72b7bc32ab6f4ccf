"""The rules that others use, read honestly, on what was measured.

A peer tells from one host's history where its condition holds; `histories.cases` makes cases of
that, for all in the same way. PUBLISHED has the sources' own settings as far as they carry over;
TUNED those that `benchmarks.tune_peers` found best on the machines that this project's own rule
was tuned on, however far they are from the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.histories import Condition, Floats, History
from fairuse_protocol.messages import RESOURCES

CONTENDED_UTILISATION = 0.9
CONTENDED_WAITING: Mapping[str, float] = {"cpu": 0.1, "disk": 0.1, "net-in": 0.02, "net-out": 0.02}
"""A host that waits at least so much is short of the resource, however full it reads."""


class Peer(Protocol):
    """A rule to compare with."""

    def condition(self, history: History) -> Condition:
        """Resource x interval x tenant: where the rule finds fault."""
        ...


@dataclass(frozen=True, slots=True)
class BusyShare:
    """Over half of a busy host: the fixed share that terms of shared hosting put down ("25 % or
    more of system resources for longer than 90 seconds", in many of them), made milder: the
    host has to be nearly full, and for half of the last 20 minutes."""

    share: float = 0.5
    utilisation: float = 0.9
    minutes: float = 20
    of_minutes: float = 10

    def condition(self, history: History) -> Condition:
        """Held in enough of the latest minutes."""
        busy = (history.utilisation >= self.utilisation)[:, :, None]
        held = (busy & (history.share >= self.share)).astype(np.float64)
        width = history.intervals(self.minutes)
        at_least = history.intervals(self.of_minutes) / width
        enough: Condition = moving_mean(held, width) >= at_least - 1e-9
        return enough


@dataclass(frozen=True, slots=True)
class Badness:
    """Arbiter2 (Gardner et al., PEARC 2019; arbiter/badness.py): at or over `threshold` of the
    quota a score rises by usage over quota, so that it is full (100) after `minutes_to_bad` at
    the threshold itself; under it the score falls by what is left of the quota, from full to none
    in `minutes_to_good` of rest. Usage counts up to the quota (cap_badness_incr). Arbiter2 watches
    a user's CPU and memory and has a quota for each class of users; here all four resources are
    watched, each with a score of its own, and the quota is a multiple of the entitlement."""

    quota_factor: float = 1.0
    threshold: float = 0.45
    minutes_to_bad: float = 10
    minutes_to_good: float = 30

    def condition(self, history: History) -> Condition:
        """The score is full."""
        quota = self.quota_factor * history.entitled
        used = np.nan_to_num(np.minimum(history.share / quota, 1.0))
        minutes = history.seconds / 60
        rise = used * 100 / (self.minutes_to_bad * self.threshold) * minutes
        fall = (1 - used) * 100 / self.minutes_to_good * minutes
        change = np.where(used >= self.threshold, rise, -fall)
        full = np.empty(change.shape, dtype=np.bool_)
        score = np.zeros((len(RESOURCES), len(history.tenants)))
        for interval in range(change.shape[1]):
            np.clip(score + change[:, interval], 0.0, 100.0, out=score)
            np.greater_equal(score, 100.0 - 1e-9, out=full[:, interval])
        return full


@dataclass(frozen=True, slots=True)
class WindowedAverage:
    """Arbiter 3 (arbiter3/arbiter/models.py): the mean of the last `minutes` (10 in its default
    policy) is over a threshold that is the same for everybody. Its own is 0.95 of a core, of login
    nodes; here it is a share of the host."""

    threshold: float = 0.4
    minutes: float = 10

    def condition(self, history: History) -> Condition:
        """The mean is over the threshold."""
        over: Condition = (
            moving_mean(history.share, history.intervals(self.minutes)) > self.threshold
        )
        return over


@dataclass(frozen=True, slots=True)
class TwiceEntitled:
    """Over twice what was bought for the whole window, whether anybody waits or not: the threshold
    on usage over plan that monitoring systems come with."""

    factor: float = 2.0
    minutes: float = 20

    def condition(self, history: History) -> Condition:
        """The mean use is over that much of the mean entitlement."""
        width = history.intervals(self.minutes)
        entitled = moving_mean(np.nan_to_num(history.entitled)[None], width)
        used = moving_mean(history.share, width)
        over: Condition = (used > self.factor * entitled) & (entitled > 0)
        return over


@dataclass(frozen=True, slots=True)
class VictimSuspect:
    """CPI2 (Zhang et al., EuroSys 2013), with a tenant's waiting in place of its cycles per
    instruction. A minute is an outlier when waiting is over the mean and two deviations of the
    tenant's own history (older days weigh 0.9 each); three outliers in five minutes make a victim.
    Each neighbour is scored over ten minutes: its usage, normalised to 1, times 1 - limit/waiting
    where waiting is over that limit, and waiting/limit - 1 where it is not. From 0.35 on it is
    suspected; the paper acts on the highest score (`only_highest`). The paper spares what is not
    batch work; here whoever is within `spared_up_to` times its entitlement is spared. Victims are
    looked for on contended hosts only."""

    correlation: float = 0.35
    minutes: float = 10
    only_highest: bool = True
    spared_up_to: float = 1.0
    deviations: float = 2.0
    weight_a_day: float = 0.9

    def condition(self, history: History) -> Condition:
        """Somebody suffers, and this tenant's use goes with it."""
        found = np.zeros(history.share.shape, dtype=np.bool_)
        for row in range(len(RESOURCES)):
            limit = self._limits(history, history.waiting[row])
            victims = self._victims(history, row, limit)
            for victim in np.flatnonzero(victims.any(axis=0)):
                when = np.flatnonzero(victims[:, victim])
                scores = self._scores(history, row, int(victim), limit[:, victim])[when]
                suspected = scores >= self.correlation
                if self.only_highest:
                    suspected &= scores >= scores.max(axis=1, keepdims=True)
                found[row, when] |= suspected
        return found

    def _limits(self, history: History, waiting: Floats) -> Floats:
        """Interval x tenant: the waiting that is out of the ordinary, by the hours before."""
        an_hour = history.intervals(60)
        hours = -(-len(waiting) // an_hour)
        padded = np.full((hours * an_hour, waiting.shape[1]), np.nan)
        padded[: len(waiting)] = np.where(np.isnan(history.entitled), np.nan, waiting)
        by_hour = padded.reshape(hours, an_hour, -1)
        sums = np.stack(
            [(~np.isnan(by_hour)).sum(1), np.nansum(by_hour, 1), np.nansum(by_hour**2, 1)]
        )
        limits = np.full((hours, waiting.shape[1]), np.inf)
        known = np.zeros((3, waiting.shape[1]))
        for hour in range(1, hours):
            known = known * self.weight_a_day ** (1 / 24) + sums[:, hour - 1]
            mean, square = known[1:] / np.maximum(known[0], 1e-9)
            deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
            limit = mean + self.deviations * deviation
            limits[hour] = np.where(known[0] > 0, np.maximum(limit, 1e-6), np.inf)
        return np.repeat(limits, an_hour, axis=0)[: len(waiting)]

    def _victims(self, history: History, row: int, limit: Floats) -> Condition:
        contended = (history.utilisation[row] >= CONTENDED_UTILISATION) | (
            history.host_waiting[row] >= CONTENDED_WAITING[RESOURCES[row]]
        )
        outlier = (history.waiting[row] > limit) & (history.share[row] > 0)
        of_five = moving_mean(outlier.astype(np.float64), history.intervals(5), axis=0)
        victims: Condition = (of_five >= 0.6 - 1e-9) & outlier & contended[:, None]
        return victims

    def _scores(self, history: History, row: int, victim: int, limit: Floats) -> Floats:
        """Interval x tenant, -1 to 1; -1 for the victim itself and whoever is spared."""
        waiting, share = history.waiting[row][:, victim], history.share[row]
        with np.errstate(divide="ignore", invalid="ignore"):
            goes_with = np.where(
                waiting > limit, 1 - limit / waiting, np.nan_to_num(waiting / limit) - 1
            )
        width = history.intervals(self.minutes)
        used = moving_mean(share, width, axis=0)
        together = moving_mean(share * goes_with[:, None], width, axis=0)
        scores = np.where(used > 1e-9, together / np.maximum(used, 1e-9), -1.0)
        scores[~(used > self.spared_up_to * history.entitled)] = -1.0
        scores[:, victim] = -1.0
        return scores


def moving_mean(values: Floats, width: int, axis: int = 1) -> Floats:
    """Over the last `width` intervals; of those that there are none yet of, as if all was 0."""
    sums = np.cumsum(values, axis=axis)
    before = np.roll(sums, width, axis=axis)
    np.moveaxis(before, axis, 0)[:width] = 0.0
    mean: Floats = (sums - before) / width
    return mean


PUBLISHED: Mapping[str, Peer] = {
    "share of a busy host": BusyShare(),
    "badness score": Badness(),
    "windowed average": WindowedAverage(),
    "twice the entitlement": TwiceEntitled(),
    "victim-suspect": VictimSuspect(),
}
"""With the settings that their sources give, by the name that stands in the table."""

TUNED: Mapping[str, Peer] = {
    "share of a busy host": BusyShare(of_minutes=15),
    "badness score": Badness(6.0, 1.0, minutes_to_bad=30, minutes_to_good=90),
    "windowed average": WindowedAverage(0.7, minutes=30),
    "twice the entitlement": TwiceEntitled(minutes=120),
    "victim-suspect": VictimSuspect(0.85, spared_up_to=4.0, deviations=3.0),
}
"""With those that did best on the tuning half (seeds 1 and 2), of all that tune_peers tries."""
