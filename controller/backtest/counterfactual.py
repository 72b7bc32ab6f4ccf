"""Who truly is disproportionate: told from demand and true capacity, never from what was measured.

In an interval, a tenant over its entitlement (true capacity x weight / weights present) is at
fault on a resource when the neighbours within theirs wait for it, and would wait half as much or
less were this tenant's demand cut to its entitlement. Where no one tenant's cut does that, the
heaviest are cut together, MOST_TOGETHER at most. The rule under test sees neither demand, nor true
capacity, nor what would have been.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from controller.backtest.checks import Floats
from controller.backtest.delivery import cpu_waiting, disk_waiting, max_min_shares, network_loss
from controller.backtest.hosting import CPU, NET_IN, NET_OUT, Load, disk_load_of
from fairuse_protocol.messages import Resource

HARM: Mapping[Resource, float] = {"cpu": 0.1, "disk": 0.1, "net-in": 0.02, "net-out": 0.02}
"""What the neighbour that waits most has to wait: a share of time, or of its bytes. A tenth of the
time is what customers notice; 2 % lost bytes halve what TCP gets over ordinary distances."""
HALVED, NEARLY_HALVED = 0.5, 0.7
"""Of the neighbours' waiting, what the cut may leave to count as a cause, or nearly as one."""
SHORT, NEARLY_SHORT = 1.0, 0.9
"""All demand over capacity: the host cannot meet it, or hardly can."""
MOST_TOGETHER = 3
AS_GUILTY = 0.5
"""Of the heaviest one's excess, what another that is cut together with it has to have."""

NO, NEARLY, YES = 0, 1, 2
Findings = npt.NDArray[np.int8]
"""Interval x tenant: NO, NEARLY or YES."""


def find_causes(load: Load, resource: Resource) -> Findings:
    """For every interval and tenant, whether the tenant is at fault on this resource."""
    share = _share_asked(load, resource)
    findings = np.zeros(share.shape, dtype=np.int8)
    entitled = load.entitled_share()
    over = share > entitled * (1 + 1e-9)
    looked_at = np.flatnonzero((_total(load, resource, share) >= NEARLY_SHORT) & over.any(axis=1))
    if len(looked_at):
        findings[looked_at] = _causes(_part(load, looked_at), resource)
    return findings


def _causes(load: Load, resource: Resource) -> Findings:
    share, entitled = _share_asked(load, resource), load.entitled_share()
    excess = np.maximum(0.0, share - entitled)
    within = (excess == 0) & (share > 0)
    before = _waiting(load, resource, np.ones_like(share)) * within
    total, worst = _total(load, resource, share), before.max(axis=1)
    left_alone, left_together = _left(load, resource, before)
    left = np.minimum(left_alone, left_together)
    clear = (total >= SHORT) & (worst >= HARM[resource])
    near = (total >= NEARLY_SHORT) & (worst >= HARM[resource] / 2)
    findings = np.where(near[:, np.newaxis] & (left <= NEARLY_HALVED), NEARLY, NO)
    findings = np.where(clear[:, np.newaxis] & (left <= HALVED), YES, findings)
    return np.where(excess > 0, findings, NO).astype(np.int8)


def _left(load: Load, resource: Resource, before: Floats) -> tuple[Floats, Floats]:
    """What is left of the neighbours' waiting when each tenant is cut alone, and with others."""
    share, entitled = _share_asked(load, resource), load.entitled_share()
    excess = np.maximum(0.0, share - entitled)
    cut_to = np.where(excess > 0, entitled / np.maximum(share, 1e-12), 1.0)
    within = before > 0
    waited = np.maximum(before.sum(axis=1), 1e-12)
    order = np.argsort(-excess, axis=1, kind="stable")
    alone, together = np.ones_like(share), np.ones_like(share)
    kept, rows = np.ones_like(share), np.arange(len(share))
    heaviest = excess.max(axis=1)
    for tenant in np.flatnonzero((excess > 0).any(axis=0)):
        one = np.ones_like(share)
        one[:, tenant] = cut_to[:, tenant]
        after = (_waiting(load, resource, one) * within).sum(axis=1)
        alone[:, tenant] = after / waited
    helped = alone.min(axis=1) <= HALVED
    for place in range(min(MOST_TOGETHER, share.shape[1])):
        kept[rows, order[:, place]] = cut_to[rows, order[:, place]]
        left = (_waiting(load, resource, kept) * within).sum(axis=1) / waited
        cut = (kept < 1) & (excess >= AS_GUILTY * heaviest[:, np.newaxis])
        counts = cut & ~helped[:, np.newaxis]
        together = np.where(counts, np.minimum(together, left[:, np.newaxis]), together)
        helped = helped | (left <= HALVED)
    return alone, together


def _waiting(load: Load, resource: Resource, kept: Floats) -> Floats:
    """What each tenant waits for the resource when only this part of each one's demand is kept."""
    if resource == "cpu":
        demand, cores = load.asked(CPU) * kept, load.capacity[CPU]
        return cpu_waiting(demand, max_min_shares(demand, load.weights, cores), cores)[0]
    if resource == "disk":
        cut = Load(load.demand * kept, load.weights, load.capacity)
        return disk_waiting(*disk_load_of(cut))[0]
    share = _share_asked(load, resource) * kept
    return np.where(share > 0, network_loss(share.sum(axis=1))[:, np.newaxis], 0.0)


def _share_asked(load: Load, resource: Resource) -> Floats:
    if resource == "disk":
        return disk_load_of(load)[0]
    return load.share_asked({"cpu": CPU, "net-in": NET_IN, "net-out": NET_OUT}[resource])


def _total(load: Load, resource: Resource, share: Floats) -> Floats:
    total: Floats = disk_load_of(load)[1] if resource == "disk" else share.sum(axis=1)
    return total


def _part(load: Load, intervals: npt.NDArray[np.intp]) -> Load:
    return Load(load.demand[:, intervals], load.weights, load.capacity)
