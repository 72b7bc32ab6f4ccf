"""The limits that stand: put up, changed, taken down, each over all of a tenant's knobs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from fairuse_agent.limiter import division
from fairuse_agent.limiter.changes import Changes, TakenOver
from fairuse_agent.limiter.guard import Refusal, figures
from fairuse_agent.limiter.kernel.knobs import Amounts, Gone, Kernel, KernelError, Knob, Refused
from fairuse_agent.limiter.leases import Clock
from fairuse_protocol.limits import LiftedLimit, LiftReason, LimitOrder, SuspendOrder

log = logging.getLogger(__name__)

LIFTED_REMEMBERED = 100
SHORTEST_MEASURE_SECONDS = 0.5
"""Two readings closer than this say little about how a tenant's use is spread."""


@dataclass
class Standing:
    """One limit in the kernel: its parts, and the counters when they were last divided."""

    order: LimitOrder | SuspendOrder
    parts: dict[Knob, dict[str, float]]
    counters: dict[Knob, dict[str, float]]
    read_at: float


@dataclass
class _Lifting:
    """A limit on its way out; it stays here while the kernel does not take it."""

    tenant: str
    reason: LiftReason
    restored: bool = True
    details: list[str] = field(default_factory=list)


class StandingLimits:
    """What is held, what has been lifted of late, and what could not be lifted yet."""

    def __init__(self, kernel: Kernel, changes: Changes, clock: Clock) -> None:
        self._kernel = kernel
        self._changes = changes
        self._clock = clock
        self.held: dict[str, Standing] = {}
        self.lifted: deque[LiftedLimit] = deque(maxlen=LIFTED_REMEMBERED)
        self.stuck: dict[str, _Lifting] = {}

    def measure(self, knobs: list[Knob]) -> dict[Knob, dict[str, float]]:
        """Counters of the knobs that are still there. Raises Refused when one cannot be told."""
        counters = {}
        for knob in knobs:
            try:
                counters[knob] = self._kernel.measure(knob)
            except Gone:
                continue  # what is gone uses nothing
        return counters

    def measure_only(self, proving: Iterable[Knob]) -> None:
        """What was put into the kernel to measure a tenant goes with its proof or its limit."""
        held = [standing.counters for standing in self.held.values()]
        try:
            self._kernel.measure_only({*proving}.union(self._changes.ledger.changes, *held))
        except KernelError as error:
            log.warning("a counter of ours is left, and is removed later: %s", error)

    def put_up(
        self,
        order: LimitOrder,
        counters: dict[Knob, dict[str, float]],
        use: Mapping[Knob, Amounts],
    ) -> Refusal | None:
        """Hold the tenant to the order, divided by its use. On a refusal nothing is left."""
        parts, refusal = self._divide(order, use)
        turned: dict[Knob, dict[str, float]] = {}
        for knob, amounts in parts.items():
            try:
                self._changes.turn(order, knob, amounts)
            except Refused as error:
                refusal = Refusal(error.promise, f"{knob.target}: {error}")
            except Gone as error:
                log.info("order %s: %s", order.order, error)
            except Exception as error:  # noqa: BLE001  # never half a limit, whatever it is
                _log_failure(f"order {order.order} cannot be applied", error)
                self._undo(order.order)
                return Refusal(None, str(error))
            else:
                turned[knob] = amounts
        if not turned:
            return refusal or Refusal(None, "the tenant's cgroups or interfaces are gone")
        self.held[order.order] = Standing(order, turned, counters, self._clock.boottime())
        if refusal is not None:
            log.warning("order %s is held on the rest: %s", order.order, refusal.reason)
        log.info(
            "held: order %s, tenant %s, %s to %s on %s",
            order.order,
            order.tenant,
            order.resource,
            _words(order),
            ", ".join(knob.target for knob in turned),
        )
        return None

    def suspend(self, order: SuspendOrder, knobs: list[Knob]) -> Refusal | None:
        """Freeze all of these, or none."""
        turned: dict[Knob, dict[str, float]] = {}
        for knob in knobs:
            try:
                self._changes.turn(order, knob, {})
            except Gone as error:
                log.info("order %s: %s", order.order, error)
            except Exception as error:  # noqa: BLE001  # never half a suspension, whatever it is
                _log_failure(f"order {order.order} cannot be applied", error)
                self._undo(order.order)
                promise = error.promise if isinstance(error, Refused) else None
                return Refusal(promise, f"{knob.target}: {error}")
            else:
                turned[knob] = {}
        if not turned:
            return Refusal(None, "the tenant's cgroups are gone")
        self.held[order.order] = Standing(order, turned, {}, self._clock.boottime())
        log.warning(
            "suspended: order %s, tenant %s, by %s: %s (%s)",
            order.order,
            order.tenant,
            order.ordered_by,
            order.reason,
            ", ".join(knob.target for knob in turned),
        )
        return None

    def keep_suspended(self, order: SuspendOrder, knobs: list[Knob]) -> Refusal | None:
        """Let go of groups that went, and end it all where somebody else thawed one by hand."""
        standing = self.held[order.order]
        details = self._drop_vanished(standing, knobs)
        for knob in standing.parts:
            if self._kernel.read(knob) != self._changes.ledger.changes[knob].ours[-1]:
                detail = f"{knob.target}: somebody else thawed it meanwhile, which was left"
                self.lift(order.order, "withdrawn", detail)
                return Refusal(3, detail)
        if not standing.parts:
            self.lift(order.order, "target-gone", "; ".join(details))
        return None

    def alter(self, order: LimitOrder, knobs: list[Knob]) -> Refusal | None:
        """Bring a standing limit to what the order says now, on the targets that are there now."""
        standing = self.held[order.order]
        before = standing.order
        same = isinstance(before, LimitOrder) and order.allowance == before.allowance
        standing.order = order
        details = self._drop_vanished(standing, knobs)
        if not knobs:
            self.lift(order.order, "target-gone", "; ".join(details))
            return None
        now = self._clock.boottime()
        counters = self.measure(knobs)
        if now - standing.read_at >= SHORTEST_MEASURE_SECONDS:
            use = division.rates(standing.counters, counters, now - standing.read_at)
            standing.counters, standing.read_at = counters, now
        elif same and standing.parts.keys() == counters.keys():
            return None
        else:
            use = {knob: standing.parts.get(knob, {}) for knob in counters}
        for knob, known in counters.items():
            missing = dict.fromkeys(known, 0.0)
            use[knob] = {**missing, **use.get(knob, {})}
        parts, objection = self._divide(order, use)
        if not division.worth_changing(standing.parts, parts, same_allowance=same):
            # Written all the same, which changes nothing unless somebody else has.
            parts = standing.parts
        return self._rewrite(standing, parts, objection)

    def _divide(
        self, order: LimitOrder, use: Mapping[Knob, Amounts]
    ) -> tuple[dict[Knob, dict[str, float]], Refusal | None]:
        """The order divided among the knobs that can be turned for it, and why the last of the
        others cannot. Where somebody else's limit is as tight already, that one stays, and the
        part goes to the rest: together they would else be held under the order."""
        fit, refusal = dict(use), None
        while True:
            parts = division.divide_among(figures(order.allowance, order.resource), fit)
            unfit = []
            for knob, amounts in parts.items():
                try:
                    objection = self._changes.objection(order.order, knob, amounts)
                except Gone as error:
                    log.info("order %s: %s", order.order, error)
                    unfit.append(knob)
                    continue
                if objection is not None:
                    refusal = Refusal(objection.promise, f"{knob.target}: {objection}")
                    unfit.append(knob)
            if not unfit:
                return parts, refusal
            for knob in unfit:
                del fit[knob]

    def lift(self, order: str, reason: LiftReason, detail: str = "") -> None:
        """Take one limit down and put back what stood before. What the kernel does not take is
        kept for `retry`; the order has ended all the same."""
        lease = self._changes.ledger.leases.get(order)
        if lease is not None:
            ended = msgspec.structs.replace(lease, ended=reason)
            self._changes.ledger.leases[order] = ended
            self._changes.unsaved = True
        if order not in self.stuck:
            changes = self._changes.of(order)
            tenant = changes[0].tenant if changes else self.held[order].order.tenant
            self.stuck[order] = _Lifting(tenant, reason, details=[detail] if detail else [])
        self._finish(order)

    def retry(self) -> None:
        """Try again what could not be lifted."""
        for order in list(self.stuck):
            self._finish(order)

    def _finish(self, order: str) -> None:
        lifting = self.stuck[order]
        changes = self._changes.of(order)
        resource = changes[0].resource if changes else self.held[order].order.resource
        failed = False
        for change in changes:
            try:
                done = self._changes.put_back(change)
            except Exception as error:  # noqa: BLE001  # whatever it is, the other limits are lifted all the same
                failed = True
                _log_failure(f"order {order} cannot be lifted yet, will be tried again", error)
                continue
            lifting.restored &= done.restored
            if done.detail:
                lifting.details.append(done.detail)
        if failed:
            return
        self.held.pop(order, None)
        del self.stuck[order]
        told = LiftedLimit(
            order=order,
            tenant=lifting.tenant,
            resource=resource,
            reason=lifting.reason,
            lifted_at=self._clock.epoch(),
            restored=lifting.restored,
            detail="; ".join(lifting.details),
        )
        self.lifted.append(told)
        log.info(
            "lifted: order %s, tenant %s, %s: %s%s",
            order,
            told.tenant,
            resource,
            told.reason,
            f" ({told.detail})" if told.detail else "",
        )

    def _drop_vanished(self, standing: Standing, knobs: list[Knob]) -> list[str]:
        """Let go of targets that went, or that the tenant does not own any more."""
        details = []
        for knob in [knob for knob in standing.parts if knob not in knobs]:
            change = self._changes.ledger.changes.get(knob)
            del standing.parts[knob]
            if change is None:
                continue
            try:
                details.append(self._changes.put_back(change).detail)
            except Exception as error:  # noqa: BLE001  # tried again at the next order
                standing.parts[knob] = {}
                _log_failure(f"order {standing.order.order}: {knob.target} is still limited", error)
        return [detail for detail in details if detail]

    def _rewrite(
        self, standing: Standing, parts: dict[Knob, dict[str, float]], objection: Refusal | None
    ) -> Refusal | None:
        """Write new parts, the shrinking ones first, so that their sum never exceeds the order.
        Knobs that no part fits any more are put back."""
        refusal: Refusal | None = None
        ordered = sorted(
            parts,
            key=lambda knob: sum(parts[knob].values()) - sum(standing.parts.get(knob, {}).values()),
        )
        for knob in ordered:
            try:
                self._changes.turn(standing.order, knob, parts[knob])
            except TakenOver as error:
                refusal = Refusal(3, str(error))
                self._let_go(standing, knob)
            except Refused as error:
                refusal = Refusal(error.promise, f"{knob.target}: {error}")
            except (Gone, KernelError) as error:
                refusal = Refusal(None, str(error))
            else:
                standing.parts[knob] = parts[knob]
        for knob in standing.parts.keys() - parts.keys():
            self._let_go(standing, knob)
        if not self._changes.of(standing.order.order):
            why = refusal or objection
            reason: LiftReason = "withdrawn" if not parts and objection else "target-gone"
            self.lift(standing.order.order, reason, why.reason if why else "")
            return None
        return refusal

    def _let_go(self, standing: Standing, knob: Knob) -> None:
        """Put one knob of a standing limit back; when that fails, it is kept for the next try."""
        change = self._changes.ledger.changes.get(knob)
        try:
            done = self._changes.put_back(change) if change is not None else None
        except Exception as error:  # noqa: BLE001  # tried again at the next order, and at the lease's end
            _log_failure(f"order {standing.order.order}: {knob.target} is still limited", error)
        else:
            standing.parts.pop(knob, None)
            if done is not None and done.detail:
                log.warning("order %s: %s", standing.order.order, done.detail)

    def _undo(self, order: str) -> None:
        """Take back what a failed attempt had already changed; it was never a limit."""
        for change in self._changes.of(order):
            try:
                self._changes.put_back(change)
            except Exception as error:  # noqa: BLE001  # kept in `stuck`
                _log_failure(f"order {order}: taking it back failed, will be tried again", error)
                self.stuck[order] = _Lifting(change.tenant, "withdrawn")


def _log_failure(what: str, error: Exception) -> None:
    """What the kernel did not take, in words; anything else is a defect and has its traceback."""
    log.error("%s: %s", what, error, exc_info=not isinstance(error, KernelError))


def _words(order: LimitOrder) -> str:
    told = figures(order.allowance, order.resource)
    return ", ".join(f"{value:.6g} {unit.replace('_', ' ')}" for unit, value in told.items())
