"""Reads the whole chain of cases' histories and says where it does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import timeline
from controller.storage.chain import ERASED, FIRST_LINK, Finding, Remains, digest_of, link_after
from controller.storage.timeline import LinkedRow

_TOLD_AT_MOST = 100


@dataclass(frozen=True)
class Fault:
    """A place where the chain does not hold; "link-not-found" has no place."""

    finding: Finding
    line: int | None = None
    case_id: str = ""
    at: float | None = None


@dataclass
class Audit:
    """What was found."""

    lines: int = 0
    erased: int = 0
    """Of these: blank, as their cases tell. Their place in the chain is checked, not their text."""
    head: bytes = FIRST_LINK
    """The newest link: note it elsewhere, and the next audit can tell if lines were cut off."""
    faults: list[Fault] = field(default_factory=list)
    """The first hundred."""


async def audit(connection: AsyncConnection, expected: bytes | None = None) -> Audit:
    """Read everything; `expected` is a link that was noted before, and has to be there still."""
    found, erasures = Audit(), _Erasures()
    met = expected in (None, FIRST_LINK)
    async for row in timeline.in_order(connection):
        _add(found, *_faults_of(row, found.head), *erasures.see(row))
        found.lines += 1
        found.erased += row.is_erased
        found.head = row.link
        met = met or row.link == expected
    _add(found, *erasures.unrecorded())
    if not met:
        found.faults.append(Fault("link-not-found"))
    return found


class _Erasures:
    """Cases with erased lines, until the line of each that tells of it has been met."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[LinkedRow, Remains]] = {}

    def see(self, row: LinkedRow) -> Iterator[Fault]:
        if row.is_erased:
            _, left = self._left.setdefault(row.case_id, (row, Remains()))
            left.add(row.at, row.event, row.actor, row.digest)
        elif row.event == ERASED and row.case_id in self._left:
            _, left = self._left.pop(row.case_id)
            if not left.are_told_by(row.text):
                yield _fault("erased-changed", row)

    def unrecorded(self) -> Iterator[Fault]:
        for first, _ in self._left.values():
            yield _fault("erased-unrecorded", first)


def _faults_of(row: LinkedRow, before: bytes) -> Iterator[Fault]:
    if not row.is_erased:
        written = digest_of(row.salt, row.case_id, row.at, row.event, row.actor, row.text)
        if written != row.digest:
            yield _fault("line-changed", row)
    if link_after(before, row.digest) != row.link:
        yield _fault("link-broken", row)


def _fault(finding: Finding, row: LinkedRow) -> Fault:
    return Fault(finding, row.id, row.case_id, row.at)


def _add(found: Audit, *faults: Fault) -> None:
    found.faults.extend(faults[: max(0, _TOLD_AT_MOST - len(found.faults))])
