"""What a host delivers of what its tenants ask for, and how long they wait: a model.

All functions are pure. Arrays have one row an interval and one column a tenant; "demand" is what a
tenant would use on a host of its own, in the resource's unit. docs/traces.md tells the sources and
the limits of the model.
"""

from __future__ import annotations

import numpy as np

from controller.backtest.checks import Floats

WAKE_DELAY_PER_BURST = 0.6
"""What a task that finds all cores busy waits, over what it then runs: one time slice (3 ms, the
base slice of Linux's EEVDF scheduler with 8 cores and more) over a burst of 5 ms. A tenant within
its share waits no longer, because the scheduler serves next whoever is owed time; it does wait for
the slice that is running, as in a queue with priorities and no preemption."""

DISK_QUEUE_OPERATIONS = 64
"""Operations that a saturated disk has outstanding: the wait behind it is this many services."""

NETWORK_QUEUE_BURSTS = 32
"""Bursts that the uplink's queue holds before it drops or holds back."""


def max_min_shares(demand: Floats, weights: Floats, capacity: float) -> Floats:
    """Weighted max-min fairness, by progressive filling (Bertsekas and Gallager, Data Networks,
    6.5.2): nobody gets more than asked for, and who gets less could only get more from somebody
    who has less for its weight. It is what a scheduler by weights does over seconds.

    The water level L solves sum(min(demand, L x weight)) = capacity: tenants are taken in order of
    demand for their weight, which is the order in which they are satisfied.
    """
    if not demand.shape[1]:
        return demand.copy()
    level_wanted = demand / weights
    order = np.argsort(level_wanted, axis=1, kind="stable")
    wanted = np.take_along_axis(demand, order, axis=1)
    weight = weights[order]
    satisfied_before = np.cumsum(wanted, axis=1) - wanted
    weight_left = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1]
    # The level if this tenant were the first that is not satisfied; the lowest is the true one.
    levels = np.maximum(0.0, capacity - satisfied_before) / weight_left
    short = np.take_along_axis(level_wanted, order, axis=1) > levels
    first_short = np.argmax(short, axis=1)[:, np.newaxis]
    level = np.take_along_axis(levels, first_short, axis=1)
    level = np.where(short.any(axis=1, keepdims=True), level, np.inf)
    return np.minimum(demand, level * weights)


def proportional_shares(demand: Floats, load: Floats) -> Floats:
    """Everyone gets the same part of what they ask for; `load` is all demand over capacity."""
    scaled: Floats = demand / np.maximum(1.0, load)[:, np.newaxis]
    return scaled


def all_cores_busy(load: Floats, cores: float) -> Floats:
    """The share of time in which a task that wakes finds no core free: Erlang's C formula for
    `cores` servers at this load (demand over cores), and 1 from saturation on.

    By the recursion of Erlang B, which does not overflow; a part of a core is rounded off.
    """
    servers = max(1, round(cores))
    offered = np.minimum(load, 1.0) * servers
    blocked = np.ones_like(offered)
    for server in range(1, servers + 1):
        blocked = offered * blocked / (server + offered * blocked)
    busy: Floats = blocked / np.maximum(1e-12, 1.0 - np.minimum(load, 1.0) * (1.0 - blocked))
    return np.minimum(1.0, busy)


def cpu_waiting(demand: Floats, delivered: Floats, cores: float) -> tuple[Floats, Floats]:
    """The share of time (PSI `some`) in which something of each tenant's, and of the whole host's,
    was runnable and did not run.

    Two causes, taken as independent. A wake-up that finds all cores busy waits a slice: while the
    host is that busy, a tenant waits 1 - exp(-WAKE_DELAY_PER_BURST x demand) of the time. And a
    tenant that gets less than it asks for has tasks (about as many as the cores that it asks for)
    that each run delivered / demand of the time; some task of it waits unless all of them run.
    """
    busy = all_cores_busy(demand.sum(axis=1) / cores, cores)
    asked = np.maximum(demand, 1e-12)
    all_run = np.where(demand > 0, (delivered / asked) ** np.maximum(1.0, demand), 1.0)
    woken = busy[:, np.newaxis] * -np.expm1(-WAKE_DELAY_PER_BURST * demand)
    host_woken = busy * -np.expm1(-WAKE_DELAY_PER_BURST * demand.sum(axis=1))
    tenants = 1.0 - (1.0 - woken) * all_run
    return tenants, 1.0 - (1.0 - host_woken) * all_run.prod(axis=1)


def disk_waiting(share: Floats, load: Floats) -> tuple[Floats, Floats]:
    """The share of time (PSI `some`) in which each tenant, and anyone, waits for the disk.

    In a queue M/M/1 with several classes, the number of a class's operations in the system is
    geometric, so that some of tenant i's wait a_i / (1 - load + a_i) of the time, where a_i is the
    tenant's demand over capacity (`share`). This includes being served, as PSI does: a tenant that
    reads alone waits too. Past saturation the queue is finite and the slack (1 - load) is replaced
    by 1 / DISK_QUEUE_OPERATIONS.
    """
    slack = np.maximum(1.0 - load, 1.0 / DISK_QUEUE_OPERATIONS)
    tenants: Floats = share / (slack[:, np.newaxis] + share)
    host: Floats = np.minimum(load, 1.0)
    return tenants, np.maximum(host, tenants.max(axis=1, initial=0.0))


def network_loss(load: Floats) -> Floats:
    """The share of one direction's bytes that is dropped or held back, of everyone alike.

    The loss of a queue M/M/1/K: (1 - r) r^K / (1 - r^(K+1)), which is 1/(K+1) at saturation and
    tends to 1 - 1/r, what does not fit, beyond. K is NETWORK_QUEUE_BURSTS.
    """
    places = NETWORK_QUEUE_BURSTS
    at_one = np.isclose(load, 1.0, atol=1e-6)
    # For loads over 1 by the powers of 1/r, which cannot overflow.
    low = np.where(at_one | (load > 1), 0.5, load)
    high = np.where(at_one | (load <= 1), 2.0, load)
    under = (1 - low) * low**places / (1 - low ** (places + 1))
    over = (1 - 1 / high) / (1 - high ** -(places + 1.0))
    loss: Floats = np.where(at_one, 1 / (places + 1), np.where(load > 1, over, under))
    return loss


def net_waiting(
    demand_in: Floats, demand_out: Floats, loss_in: Floats, loss_out: Floats
) -> tuple[Floats, Floats]:
    """Both directions' losses in one figure, weighed by the bytes that each tenant asks to move."""
    lost = demand_in * loss_in[:, np.newaxis] + demand_out * loss_out[:, np.newaxis]
    asked = demand_in + demand_out
    tenants = np.where(asked > 0, lost / np.maximum(asked, 1e-12), 0.0)
    all_asked = asked.sum(axis=1)
    return tenants, np.where(all_asked > 0, lost.sum(axis=1) / np.maximum(all_asked, 1e-12), 0.0)
