"""Tenants looked up elsewhere: the answers are kept, and asked for anew in the background.

Who needs an answer at once (each report does) gets what is known; who is about to write to a
customer waits for it. While the place is away, what it said before goes on being used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from controller.contact.sources.asking import AnswerUnusable, LookupFailed, Source, SourceAway
from controller.lookup_settings import Directory
from controller.tenants import Tenant

_log = logging.getLogger(__name__)

MOST_KEPT = 50_000
"""Answers in memory, some 50 MB; then the oldest goes."""
_MOST_WAITING = 10_000
_AT_ONCE = 4
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What was answered about one tenant, and how long it counts.

    `entry` None: there is no such tenant. `unusable`: why a newer answer could not be used.
    """

    entry: Tenant | None
    answered_at: float
    ask_again_at: float
    good_until: float
    unusable: str = ""


def kept_answer(entry: Tenant | None, terms: Directory, now: float) -> Kept:
    """An answer as it is kept from `now` on."""
    if entry is None:
        until = now + terms.keep_unknown
        return Kept(None, now, ask_again_at=until, good_until=until)
    again = now + terms.keep
    return Kept(entry, now, ask_again_at=again, good_until=again + terms.keep_stale)


def kept_refusal(before: Kept | None, reason: str, terms: Directory, now: float) -> Kept:
    """What was known stays known after an answer that cannot be used; it is asked again soon."""
    again = now + terms.keep_unknown
    if before is None or before.entry is None:
        return Kept(None, now, ask_again_at=again, good_until=now, unusable=reason)
    return replace(before, ask_again_at=again, unusable=reason)


def pause_seconds(failures: int) -> float:
    """How long a place that has failed so often is left alone: 5 s, doubled, up to 60 s."""
    return float(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 16)))


class Lookup:
    """One place's answers. `run` asks for what `known` was asked about and did not know."""

    def __init__(self, source: Source, terms: Directory, clock: Callable[[], float]) -> None:
        self._source = source
        self._terms = terms
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._waiting: dict[str, None] = {}
        """Tenants to ask about, in their order."""
        self._woken = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[Kept]] = {}
        self._failures = 0
        self._away_since = 0.0
        self._pause_until = float("-inf")
        self._away_because = ""

    @property
    def problem(self) -> str:
        """Why the place is not asked now; empty when it answers."""
        return self._away_because

    def known(self, tenant: str) -> Tenant | None:
        """What is known at once, also if it is old. Has it asked for when that is due."""
        now, kept = self._clock(), self._kept.get(tenant)
        if kept is None or now >= kept.ask_again_at:
            self._want(tenant, now)
        return kept.entry if kept is not None and now < kept.good_until else None

    def kept(self, tenant: str) -> Kept | None:
        """The last answer with its age, however old."""
        return self._kept.get(tenant)

    def is_stale(self, kept: Kept) -> bool:
        """Whether it should have been asked for anew by now."""
        return self._clock() >= kept.ask_again_at

    def names(self) -> Iterable[str]:
        """The tenants that are known to be there."""
        now = self._clock()
        return [name for name, kept in self._kept.items() if kept.entry and now < kept.good_until]

    async def ask(self, tenant: str) -> Tenant | None:
        """What the place says, or has said when it cannot be asked; None: no such tenant.

        Raises LookupFailed when neither is known.
        """
        now, kept = self._clock(), self._kept.get(tenant)
        if kept is None or now >= kept.ask_again_at:
            try:
                kept = await self._fresh(tenant, now)
            except LookupFailed:
                if kept is None or kept.entry is None or now >= kept.good_until:
                    raise
        if kept.entry is None and kept.unusable:
            raise AnswerUnusable(kept.unusable)
        return kept.entry

    async def run(self) -> None:
        """Ask for what is wanted, a few at a time, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._work())

    async def close(self) -> None:
        """Let go of the place."""
        for task in tuple(self._under_way.values()):
            task.cancel()
        await self._source.close()

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._woken.clear()
                await self._woken.wait()
            tenant = next(iter(self._waiting))
            del self._waiting[tenant]
            try:
                await self._fresh(tenant, self._clock())
            except LookupFailed:
                # It is logged, and shown as `problem`; the next report wants it again.
                continue

    def _want(self, tenant: str, now: float) -> None:
        """While the place is away nothing waits: the next report asks for the same again."""
        if (
            now >= self._pause_until
            and tenant not in self._waiting
            and tenant not in self._under_way
            and len(self._waiting) < _MOST_WAITING
        ):
            self._waiting[tenant] = None
            self._woken.set()

    async def _fresh(self, tenant: str, now: float) -> Kept:
        """Ask once, together with everybody who waits for the same; raises LookupFailed."""
        if now < self._pause_until:
            raise SourceAway(self._away_because)
        task = self._under_way.get(tenant)
        if task is None:
            task = asyncio.create_task(self._ask_source(tenant))
            self._under_way[tenant] = task
            task.add_done_callback(lambda done: self._landed(tenant, done))
        # Who stops waiting does not stop it for the others.
        return await asyncio.shield(task)

    def _landed(self, tenant: str, task: asyncio.Task[Kept]) -> None:
        del self._under_way[tenant]
        if not task.cancelled():
            task.exception()  # told already, also where nobody waits any more

    async def _ask_source(self, tenant: str) -> Kept:
        try:
            entry = await self._source.ask(tenant)
        except AnswerUnusable as error:
            _log.error("what %s says of %r cannot be used: %s", self._source.name, tenant, error)
            kept = kept_refusal(self._kept.get(tenant), str(error), self._terms, self._clock())
        except SourceAway as error:
            self._is_away(str(error))
            raise
        except Exception as error:  # noqa: BLE001 - a fault of our own ends nobody else's look-up
            _log.exception("%r could not be looked up", tenant)
            reason = f"the controller failed: {error!r}"
            kept = kept_refusal(self._kept.get(tenant), reason, self._terms, self._clock())
        else:
            kept = kept_answer(entry, self._terms, self._clock())
        self._is_back()
        return self._keep(tenant, kept)

    def _keep(self, tenant: str, kept: Kept) -> Kept:
        # The newest last, so that the first is the oldest.
        self._kept.pop(tenant, None)
        self._kept[tenant] = kept
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return kept

    def _is_away(self, reason: str) -> None:
        now = self._clock()
        if now < self._pause_until:
            # Several were asked about together; it is away once.
            return
        if not self._failures:
            self._away_since = now
            _log.error("%s does not answer: %s", self._source.name, reason)
        self._failures += 1
        self._pause_until = now + pause_seconds(self._failures)
        used_for = self._terms.keep_stale
        self._away_because = f"{self._source.name}: {reason}; what it said is used for {used_for}"
        self._waiting.clear()

    def _is_back(self) -> None:
        if self._failures:
            away = self._clock() - self._away_since
            _log.info("%s answers again, after %.0f s", self._source.name, away)
        self._failures, self._pause_until, self._away_because = 0, float("-inf"), ""
