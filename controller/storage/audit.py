"""Reads the whole chain of cases' histories and says where it does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.storage import timeline
from controller.storage.chain import FIRST_LINK, Finding, digest_of, link_after
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
    head: bytes = FIRST_LINK
    """The newest link: note it elsewhere, and the next audit can tell if lines were cut off."""
    faults: list[Fault] = field(default_factory=list)
    """The first hundred."""


async def audit(connection: AsyncConnection, expected: bytes | None = None) -> Audit:
    """Read everything; `expected` is a link that was noted before, and has to be there still."""
    found = Audit()
    met = expected in (None, FIRST_LINK)
    async for row in timeline.in_order(connection):
        for fault in _faults_of(row, found.head):
            if len(found.faults) < _TOLD_AT_MOST:
                found.faults.append(fault)
        found.lines += 1
        found.head = row.link
        met = met or row.link == expected
    if not met:
        found.faults.append(Fault("link-not-found"))
    return found


def _faults_of(row: LinkedRow, before: bytes) -> Iterator[Fault]:
    written = digest_of(row.salt, row.case_id, row.at, row.event, row.actor, row.text)
    if written != row.digest:
        yield Fault("line-changed", row.id, row.case_id, row.at)
    if link_after(before, row.digest) != row.link:
        yield Fault("link-broken", row.id, row.case_id, row.at)
