"""Letters: one or more notices that go out as one message, as they stand in the outbox."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from controller.cases.model import NoticeDocument, NoticeKind
from controller.contact.notice import Queued
from controller.storage.notices import NoticeRow

_document_decoder = msgspec.json.Decoder(NoticeDocument)


@dataclass(frozen=True)
class Letter:
    """One message. Its id is that of the first notice that was put into it, and stays."""

    id: str
    notices: tuple[Queued, ...]
    tries: int
    """How many went before."""
    sending_since: float
    """When it was decided, moved on by the time in which nothing was to be sent."""
    bounced: frozenset[str] = frozenset()
    """Mail addresses that it came back from."""

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The cases that it is about."""
        return tuple(notice.document.case.id for notice in self.notices)

    @property
    def tenant(self) -> str:
        """Whom it is for: a letter is about one tenant only."""
        return self.notices[0].document.case.tenant


def queued(row: NoticeRow) -> Queued:
    """A notice out of the outbox."""
    return Queued(
        id=row.id,
        kind=msgspec.convert(row.kind, NoticeKind),
        queued_at=row.queued_at,
        document=_document_decoder.decode(row.document),
    )


def due_letters(rows: Iterable[NoticeRow], now: float) -> list[Letter]:
    """The letters that are to be sent now, out of a tenant's unsettled notices."""
    by_letter: defaultdict[str, list[NoticeRow]] = defaultdict(list)
    for row in rows:
        if row.letter is not None and row.next_try_at is not None and row.next_try_at <= now:
            by_letter[row.letter].append(row)
    return [
        Letter(
            id=letter,
            notices=tuple(queued(row) for row in each),
            tries=each[0].tries,
            sending_since=each[0].queued_at
            if each[0].sending_since is None
            else each[0].sending_since,
            bounced=frozenset(each[0].bounced.split()),
        )
        for letter, each in by_letter.items()
    ]
