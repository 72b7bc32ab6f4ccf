"""The keeper makes the host's limits what the last orders say, within the promises.

It knows no sockets and no threads: whoever runs it calls `start` once, `set_limits`, `lift_all`
and `state` on request, and `tick` whenever `next_due` has come, all from one thread.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fairuse_agent.limiter import division, guard, leases, refusals, suspending
from fairuse_agent.limiter.changes import Changes
from fairuse_agent.limiter.guard import Refusal
from fairuse_agent.limiter.journal import Journal
from fairuse_agent.limiter.kernel.knobs import Kernel, KernelError, Knob
from fairuse_agent.limiter.leases import Clock
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_agent.limiter.standing import StandingLimits
from fairuse_protocol.limits import (
    HeldLimit,
    LiftReason,
    LimiterState,
    LimitOrder,
    RefusedLimit,
    SetLimits,
    SuspendOrder,
    TenantPlace,
)
from fairuse_protocol.messages import Resource

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""How soon a lift that the kernel did not take is tried again."""


@dataclass
class Proof:
    """A tenant's counters since when the limiter looks itself whether it is over its share."""

    order: LimitOrder
    share: dict[str, float]
    counters: dict[Knob, dict[str, float]]
    started_at: float


class Keeper:
    """The state of one limiter. The journal has to be locked by this process."""

    def __init__(
        self,
        settings: LimiterSettings,
        kernel: Kernel,
        journal: Journal,
        clock: Clock,
        boot_id: str,
    ) -> None:
        self._settings = settings
        self._kernel = kernel
        self._clock = clock
        self._boot_id = boot_id
        ledger, self.damage = journal.load()
        self._rebooted = bool(ledger.boot_id) and ledger.boot_id != boot_id
        self._changes = Changes(kernel, journal, ledger)
        self._limits = StandingLimits(kernel, self._changes, clock)
        self._proofs: dict[str, Proof] = {}
        self._refused: dict[str, RefusedLimit] = {}
        self._unproven: dict[str, RefusedLimit] = {}
        self._heard_at = clock.boottime()

    def start(self, reason: LiftReason) -> None:
        """Lift whatever an earlier process left (promise 2). After a reboot the kernel has
        forgotten it already, and only the journal is cleared."""
        if self.damage:
            log.error("%s", self.damage)
        ledger = self._changes.ledger
        if self._rebooted:
            self._convert_leases()
        left = list(dict.fromkeys(change.order for change in ledger.changes.values()))
        ledger.boot_id = self._boot_id
        detail = "the host was rebooted, which took the limit with it" if self._rebooted else ""
        for order in left:
            self._limits.lift(order, reason, detail)
        self._changes.save()
        self._stop_measuring()

    def set_limits(self, request: SetLimits) -> LimiterState:
        """Reach the state that the request names, as far as the promises allow."""
        now = self._clock.boottime()
        heard_at = now - max(0.0, request.controller_heard_seconds_ago)
        self._heard_at = max(self._heard_at, heard_at)
        self._forget(now)
        asked: list[LimitOrder | SuspendOrder] = [*request.orders, *request.suspensions]
        self._withdraw_all_but({order.order for order in asked if self._is_same(order)})
        self.tick()
        # What the last measurement said stands until the one that begins now says otherwise.
        self._refused = dict(self._unproven)
        present = guard.owned_once(request.places) if asked else []
        present = [place for place in present if self._exists(place)]
        known = {*self._limits.held, *self._proofs}
        taken: set[str | tuple[str, Resource]] = set()
        orders = sorted(request.orders, key=lambda order: order.order not in known)
        most = guard.ORDERS_LOOKED_AT_PER_LIMIT * self._settings.max_limits
        for order in orders[:most]:
            names: set[str | tuple[str, Resource]] = {
                order.order,
                (order.tenant, order.resource),
            }
            if names & taken:
                reason = "an earlier order of this request has its name, or tenant and resource"
                self._refuse(order, Refusal(None, reason))
                continue
            taken |= names
            self._take(order, request, present)
        self._refuse_unseen(orders[most:], most)
        for suspension in request.suspensions[:most]:
            self._take_suspension(suspension, present)
        self._changes.save()
        self._stop_measuring()
        return self.state()

    def lift_all(self, reason: LiftReason, detail: str = "") -> LimiterState:
        """Lift everything and start nothing."""
        self._proofs.clear()
        for order in list(self._limits.held):
            self._limits.lift(order, reason, detail)
        self._limits.retry()
        self._changes.save()
        self._stop_measuring()
        return self.state()

    def tick(self) -> None:
        """Do what is due: ends of leases, the controller's silence, proofs, failed lifts."""
        now = self._clock.boottime()
        self._limits.retry()
        for order in list(self._limits.held):
            if order in self._limits.stuck:
                continue
            reason = self._ending(order, now)
            if reason is not None:
                self._limits.lift(order, reason)
        for order, proof in list(self._proofs.items()):
            if self._ending(order, now) is not None:
                self._drop_proof(order)
            elif proof.started_at + self._settings.proof <= now:
                self._prove(proof, now)
                self._drop_proof(order)
        if self._changes.unsaved:
            self._changes.save()
        self._stop_measuring()

    def next_due(self) -> float | None:
        """When `tick` has to be called next (CLOCK_BOOTTIME), None while nothing is held."""
        due = [proof.started_at + self._settings.proof for proof in self._proofs.values()]
        standing = self._limits.held.keys() - self._limits.stuck.keys()
        due += [self._lease_of(order).ends_at for order in standing]
        if standing or self._proofs:
            due.append(self._heard_at + self._settings.max_silence)
        if self._limits.stuck:
            due.append(self._clock.boottime() + RETRY_SECONDS)
        return min(due, default=None)

    def left_over(self) -> list[str]:
        """The targets that are still changed: what a stop or `lift-all` did not manage."""
        return [change.knob.target for change in self._changes.ledger.changes.values()]

    def state(self) -> LimiterState:
        """What is held, refused and lifted of late."""
        now = self._clock.boottime()
        held = [
            HeldLimit(
                order=order,
                tenant=standing.order.tenant,
                resource=standing.order.resource,
                allowance=standing.order.allowance,
                remaining_seconds=leases.remaining(self._lease_of(order), now=now),
                way=self._kernel.way(next(iter(standing.parts))),
                targets=tuple(dict.fromkeys(knob.target for knob in standing.parts)),
            )
            for order, standing in self._limits.held.items()
            if standing.parts and isinstance(standing.order, LimitOrder)
        ]
        return LimiterState(
            held=tuple(held),
            refused=tuple(self._refused.values()),
            lifted=tuple(self._limits.lifted),
            suspended=suspending.told(
                self._limits,
                {
                    name: leases.remaining(self._lease_of(name), now=now)
                    for name in self._limits.held
                },
            ),
            ways=self._kernel.ways(),
        )

    def _withdraw_all_but(self, named: set[str]) -> None:
        for unnamed in self._proofs.keys() - named:
            self._drop_proof(unnamed)
        for unnamed in self._unproven.keys() - named:
            del self._unproven[unnamed]
        for standing in self._limits.held.keys() - named:
            self._limits.lift(standing, "withdrawn")

    def _take(self, order: LimitOrder, request: SetLimits, present: list[TenantPlace]) -> None:
        """One order of a request: refuse it, bring it up to date, or begin to prove it."""
        unnamed = guard.judge_names(order)
        lease = self._admit(order, self._settings.max_lease) if unnamed is None else None
        if unnamed is not None:
            self._refuse(order, unnamed)
        if lease is None:
            return
        try:
            self._consider(order, lease, request, present)
        except KernelError as error:
            if order.order not in self._limits.held:
                self._refuse(order, refusals.trouble(order, error))
            else:  # it stands as before, and its owner may be back at the next request
                log.warning("order %s stands as it did: %s", order.order, error)
        except Exception as error:  # noqa: BLE001  # one order's trouble is not the others'
            self._refuse(order, refusals.trouble(order, error))

    def _take_suspension(self, order: SuspendOrder, present: list[TenantPlace]) -> None:
        """An operator's order to freeze a tenant: refuse it, or make it so."""
        refusal = suspending.judge(order)
        lease = self._admit(order, self._settings.max_suspension) if refusal is None else None
        if lease is not None:
            known = self._changes.ledger.leases
            known[order.order] = lease
            try:
                refusal = suspending.suspend(
                    order,
                    self._kernel,
                    self._limits,
                    present,
                    standing=self._standing(),
                    max_limits=self._settings.max_limits,
                )
            except Exception as error:  # noqa: BLE001  # one order's trouble is not the others'
                refusal = refusals.trouble(order, error)
            if order.order not in self._limits.held and known[order.order].ended is None:
                del known[order.order]  # it never stood
        if refusal is not None:
            self._refuse(order, refusal)

    def _admit(self, order: LimitOrder | SuspendOrder, max_lease: float) -> leases.Lease | None:
        """The lease of an order that may hold now (promise 2); of others the refusal is told."""
        now = self._clock.boottime()
        known = self._changes.ledger.leases.get(order.order)
        epoch = self._clock.epoch()
        lease = leases.seen(known, order, max_lease=max_lease, now=now, epoch=epoch)
        if not leases.fits(lease, order):
            what = f"it was for {lease.resource} of tenant {lease.tenant}: a new one is needed"
            self._refuse(order, Refusal(4, what))
            return None
        if known is not None:
            self._changes.ledger.leases[order.order] = lease
        barred = leases.barred(lease, now=now)
        if barred is None and now - self._heard_at > self._settings.max_silence:
            barred = f"the controller was not heard of for {now - self._heard_at:.0f} s"
        if order.order in self._limits.stuck:
            barred = "it is being lifted, and the kernel has not taken that yet"
        if barred is not None:
            self._refuse(order, Refusal(2, barred))
            return None
        return lease

    def _consider(
        self,
        order: LimitOrder,
        lease: leases.Lease,
        request: SetLimits,
        present: list[TenantPlace],
    ) -> None:
        capacity = self._kernel.capacity(order.resource) or guard.told_capacity(
            request, order.resource
        )
        own_share = guard.fair_share(order.tenant, present, capacity, order.resource)
        least = guard.floor(order, own_share, self._settings.floors)
        place = next((place for place in present if place.tenant == order.tenant), None)
        refusal = guard.judge_shape(order)
        if refusal is None and place is not None:
            refusal = guard.judge_weight(place)
        if refusal is not None:
            self._refuse(order, refusal)
            return
        knobs = (
            self._kernel.knobs(order.resource, place, request.disks) if place is not None else []
        )
        if order.order in self._limits.held:
            self._note(order, self._limits.alter(guard.eased(order, least), knobs))
            return
        refusal = guard.judge_allowance(order, least)
        if refusal is None and order.order not in self._proofs:
            refusal = guard.judge_count(self._standing(), self._settings.max_limits)
        if refusal is None and not knobs:
            what = "cgroup" if order.resource in ("cpu", "disk") else "interface"
            refusal = Refusal(None, f"no {what} of tenant {order.tenant} is in the kernel now")
        if refusal is not None:
            self._drop_proof(order.order)
            self._refuse(order, refusal)
            return
        shared = {*own_share, *guard.figures(order.fair_share, order.resource)} or set(least)
        share = {unit: least[unit] for unit in shared}
        under_way = self._proofs.get(order.order)
        if under_way is not None and under_way.counters.keys() == set(knobs):
            under_way.order, under_way.share = order, share
            return
        counters = self._limits.measure(knobs)
        self._changes.ledger.leases[order.order] = lease
        self._proofs[order.order] = Proof(order, share, counters, self._clock.boottime())

    def _stop_measuring(self) -> None:
        proofs = self._proofs.values()
        self._limits.measure_only(knob for proof in proofs for knob in proof.counters)

    def _standing(self) -> int:
        """How many limits there are, those that could not be lifted yet and those that are about
        to be put up included."""
        changed = {change.order for change in self._changes.ledger.changes.values()}
        return len({*changed, *self._limits.held, *self._limits.stuck, *self._proofs})

    def _is_same(self, order: LimitOrder | SuspendOrder) -> bool:
        lease = self._changes.ledger.leases.get(order.order)
        return lease is None or leases.fits(lease, order)

    def _drop_proof(self, order: str) -> None:
        """End the measuring. An order that never stood leaves no lease behind."""
        if self._proofs.pop(order, None) is None or self._changes.of(order):
            return
        if self._lease_of(order).ended is None:
            del self._changes.ledger.leases[order]

    def _exists(self, place: TenantPlace) -> bool:
        try:
            return self._kernel.exists(place)
        except (OSError, ValueError) as error:
            log.warning("tenant %s: its place cannot be looked at: %s", place.tenant, error)
            return False

    def _refuse_unseen(self, orders: list[LimitOrder], most: int) -> None:
        reason = f"a request may have {most} orders (4 x max_limits): this one was not looked at"
        for order in orders:
            self._refused[order.order] = refusals.told(order, Refusal(8, reason))
        if orders:
            log.warning("%d orders were refused unseen: at most %d a request", len(orders), most)

    def _prove(self, proof: Proof, now: float) -> None:
        """The measuring time is over: put the limit up, or say why not."""
        order = proof.order
        try:
            counters = self._limits.measure(list(proof.counters))
            use = division.rates(proof.counters, counters, now - proof.started_at)
            refusal = guard.judge_use(order.resource, division.used_together(use), proof.share)
            if refusal is None:
                refusal = self._limits.put_up(order, counters, use)
        except Exception as error:  # noqa: BLE001  # one order's trouble is not the others'
            refusal = refusals.trouble(order, error)
        self._unproven.pop(order.order, None)
        self._note(order, refusal)
        if refusal is not None:
            self._unproven[order.order] = self._refused[order.order]

    def _note(self, order: LimitOrder, refusal: Refusal | None) -> None:
        if refusal is None:
            self._refused.pop(order.order, None)
        else:
            self._refuse(order, refusal)

    def _refuse(self, order: LimitOrder | SuspendOrder, refusal: Refusal) -> None:
        told = refusals.told(order, refusal)
        self._refused[order.order] = told
        promise = f" (promise {told.promise})" if told.promise else ""
        log.info("refused%s: order %s: %s", promise, told.order, told.reason)

    def _ending(self, order: str, now: float) -> LiftReason | None:
        return leases.ending(
            self._lease_of(order),
            heard_at=self._heard_at,
            max_silence=self._settings.max_silence,
            now=now,
        )

    def _lease_of(self, order: str) -> leases.Lease:
        return self._changes.ledger.leases[order]

    def _forget(self, now: float) -> None:
        known = self._changes.ledger.leases
        for order in [name for name, lease in known.items() if leases.forgettable(lease, now=now)]:
            del known[order]

    def _convert_leases(self) -> None:
        now, epoch = self._clock.boottime(), self._clock.epoch()
        known = self._changes.ledger.leases
        for order, lease in known.items():
            known[order] = leases.after_boot(
                lease, max_lease=self._settings.max_lease, now=now, epoch=epoch
            )
