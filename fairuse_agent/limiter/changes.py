"""Turning knobs and putting them back, so that a kill between any two steps can be undone.

Turn: read what stands, write it into the journal with what we are about to write, then write to
the kernel. Put back: look whether what stands is ours, write what stood before, look again, then
drop it from the journal. Each step may be the last one that a process takes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import msgspec

from fairuse_agent.limiter.journal import Change, Journal, Ledger
from fairuse_agent.limiter.kernel.knobs import (
    SEPARATE_FIELDS,
    Amounts,
    Fields,
    Gone,
    Kernel,
    KernelError,
    Knob,
    Refused,
)
from fairuse_protocol.limits import LimitOrder, SuspendOrder

log = logging.getLogger(__name__)


class TakenOver(Exception):
    """Somebody else changed the knob since we wrote it: it is theirs now."""


@dataclass(frozen=True)
class PutBack:
    """How one knob was left: `restored` is False when it is not as it was before us."""

    restored: bool
    gone: bool = False
    detail: str = ""


class Changes:
    """All that we have changed in the kernel, kept in step with the journal."""

    def __init__(self, kernel: Kernel, journal: Journal, ledger: Ledger) -> None:
        self._kernel = kernel
        self._journal = journal
        self.ledger = ledger
        self.unsaved = False

    def of(self, order: str) -> list[Change]:
        """What was changed for one order."""
        return [change for change in self.ledger.changes.values() if change.order == order]

    def save(self) -> None:
        """Make the ledger durable. When the disk does not take it, lifting goes on all the same:
        what the old journal says too much is seen to stand as before, and left."""
        try:
            self._journal.save(self.ledger)
        except OSError as error:
            log.error("%s cannot be written, nothing new is limited: %s", self._journal.path, error)
        else:
            self.unsaved = False

    def objection(self, order: str, knob: Knob, amounts: Amounts) -> Refused | None:
        """Why these amounts cannot be put here, or would not be tighter than what stood before
        us. Raises Gone or KernelError."""
        standing = self.ledger.changes.get(knob)
        if standing is not None and standing.order != order:
            return Refused(f"{knob.target}: order {standing.order} is still to be lifted there")
        before = self._kernel.read(knob) if standing is None else standing.before
        try:
            self._kernel.fields(knob, amounts, before)
        except Refused as refused:
            return refused
        return None

    def turn(self, order: LimitOrder | SuspendOrder, knob: Knob, amounts: Amounts) -> None:
        """Hold the knob to these amounts. Raises Gone, Refused, KernelError or TakenOver."""
        standing = self.ledger.changes.get(knob)
        if standing is not None and standing.order != order.order:
            raise Refused(f"{knob.target}: order {standing.order} is still to be lifted there")
        found = self._kernel.read(knob)
        if standing is None:
            wanted = self._kernel.fields(knob, amounts, found)
            change = Change(
                order=order.order,
                tenant=order.tenant,
                resource=order.resource,
                knob=knob,
                before=found,
                ours=(wanted,),
            )
        else:
            if not standing.recognises(found):
                raise TakenOver(_not_ours(knob, found))
            wanted = self._kernel.fields(knob, amounts, standing.before)
            if found == wanted:
                return
            change = msgspec.structs.replace(standing, ours=(standing.ours[-1], wanted))
        self._record(change, standing)
        self._kernel.write(knob, wanted)
        # On disk both states stay named until the next save, which does no harm.
        self.ledger.changes[knob] = msgspec.structs.replace(change, ours=(wanted,))

    def _record(self, change: Change, standing: Change | None) -> None:
        """Nothing is written to the kernel before the journal has it."""
        self.ledger.changes[change.knob] = change
        try:
            self._journal.save(self.ledger)
        except OSError as error:
            if standing is None:
                del self.ledger.changes[change.knob]
            else:
                self.ledger.changes[change.knob] = standing
            raise KernelError(
                f"{self._journal.path} cannot be written ({error.strerror}), and nothing is"
                " limited without it: look at its disk"
            ) from error

    def put_back(self, change: Change) -> PutBack:
        """Restore the knob unless it is somebody else's by now. Raises KernelError; the journal
        then still has it, for another try.

        Whoever calls this saves afterwards, once for all that was put back: what the journal
        says too much until then is seen to stand as before, and left.
        """
        try:
            result = self._restore(change)
        except Gone as error:
            self._kernel.clean_up(change.knob)
            result = PutBack(restored=True, gone=True, detail=str(error))
        del self.ledger.changes[change.knob]
        self.unsaved = True
        return result

    def _restore(self, change: Change) -> PutBack:
        found = self._kernel.read(change.knob)
        if not change.recognises(found):
            wanted = change.restored(found)
            if change.knob.kind in SEPARATE_FIELDS and wanted != found:
                self._kernel.write(change.knob, wanted)
            self._kernel.clean_up(change.knob)
            return PutBack(restored=False, detail=_not_ours(change.knob, found))
        if found != change.before:
            self._kernel.write(change.knob, change.before)
            found = self._kernel.read(change.knob)
        if found != change.before:
            return PutBack(
                restored=False,
                detail=f"{change.knob.target}: ours was removed, but {_words(found)} stands there"
                f" now, where {_words(change.before)} stood before",
            )
        return PutBack(restored=True)


def _not_ours(knob: Knob, found: Fields) -> str:
    return (
        f"{knob.target}: somebody else changed it meanwhile to {_words(found)}, which was left"
        " as it is"
    )


def _words(fields: Fields) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items())
