"""The story: what happens, what is measured of it from outside, and what has to be seen.

Every wait has a bound; what does not come in time ends the story with the step's name, what was
expected and what was found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from fairuse_cli.demo.mailbox import Mail, Mailbox
from fairuse_cli.demo.narrator import Narrator
from fairuse_cli.demo.stage import (
    GREEDY,
    TENANTS,
    UPLINK_BYTES_PER_SECOND,
    Reading,
    Stage,
    Use,
    between,
)
from fairuse_cli.demo.watching import Watching
from fairuse_protocol.messages import Resource

STEPS = (
    "quiet",
    "short-burst-ignored",
    "cpu-notice",
    "cpu-limited",
    "cpu-neighbours-recovered",
    "cpu-lifted",
    "cpu-restored",
    "network-notice",
    "network-limited",
    "network-lifted",
    "network-restored",
)
_POLL_SECONDS = 0.1
API_SECONDS = 6.0
"""What the kernel shows is in the API after two rounds of reports at most."""

Found = TypeVar("Found")


class StepFailed(Exception):
    """A step was not seen."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}, found {seen}")
        self.expected = expected
        self.seen = seen


@dataclass
class Telling:
    """What all steps work with, and what they have written down so far."""

    stage: Stage
    mailbox: Mailbox
    narrator: Narrator
    watching: Watching = field(init=False)
    """Set as soon as there is a controller to ask."""
    steps: list[dict[str, object]] = field(default_factory=list)

    @property
    def fair_cores(self) -> float:
        """A tenant's fair share of the CPU: equal weights."""
        return self.stage.cores / len(TENANTS)

    @property
    def fair_rate(self) -> float:
        """A tenant's fair share of the uplink."""
        return UPLINK_BYTES_PER_SECOND / len(TENANTS)

    @property
    def current(self) -> str:
        """The step that is being played."""
        return STEPS[len(self.steps)] if len(self.steps) < len(STEPS) else STEPS[-1]

    def begin(self, text: str) -> None:
        """Announce the current step."""
        self.narrator.step(len(self.steps) + 1, len(STEPS), self.current)
        self.narrator.say(text)

    def done(self, text: str, **figures: object) -> None:
        """The current step was seen."""
        self.narrator.seen(text)
        self._write(True, figures)

    def failed(self, error: StepFailed | Exception, **figures: object) -> None:
        """The current step was not seen."""
        expected, seen = "the step to end", str(error)
        if isinstance(error, StepFailed):
            expected, seen = error.expected, error.seen
        self._write(False, {"expected": expected, "seen": seen, **figures})

    def _write(self, ok: bool, figures: Mapping[str, object]) -> None:
        at = round(self.narrator.seconds, 2)
        self.steps.append({"step": self.current, "at": at, "ok": ok, **figures})

    def show(self, uses: Mapping[str, Use]) -> None:
        """Print who used what."""
        self.narrator.uses(uses, fair_cores=self.fair_cores, fair_rate=self.fair_rate)

    def show_kernel(self, before: tuple[str, ...], now: tuple[str, ...]) -> None:
        """Print what the kernel showed and shows."""
        self.narrator.lines("kernel before", before)
        self.narrator.lines("kernel now", now)

    async def measure(self, seconds: float, text: str) -> dict[str, Use]:
        """Everybody's use over the next `seconds`."""
        before = await self.stage.read()
        with self.narrator.waiting(text):
            await asyncio.sleep(seconds)
        return since(before, await self.stage.read())

    async def until(
        self,
        look: Callable[[], Awaitable[Found | None]],
        *,
        seconds: float,
        expected: str,
        seen: Callable[[], Awaitable[str]],
    ) -> Found:
        """Look until there is something, or fail after `seconds`."""
        give_up = time.monotonic() + seconds
        with self.narrator.waiting(f"waiting for {expected}"):
            while True:
                found = await look()
                if found is not None:
                    return found
                if time.monotonic() > give_up:
                    raise StepFailed(f"{expected} within {seconds:g} s", await seen())
                await asyncio.sleep(_POLL_SECONDS)

    async def mail(
        self, resource: Resource, *, since: float, seconds: float, expected: str
    ) -> Mail:
        """The first mail since then about a case of the greedy tenant and this resource."""

        async def look() -> Mail | None:
            if not self.mailbox.mails or self.mailbox.mails[-1].at < since:
                return None
            cases = await self.watching.cases(GREEDY, resource)
            mails = (self.mailbox.about(case.id, since=since) for case in cases)
            return next((mail for mail in mails if mail is not None), None)

        return await self.until(look, seconds=seconds, expected=expected, seen=self.case_states)

    async def case_states(self) -> str:
        """What the controller thinks of the greedy tenant, for a failure's text."""
        states = [
            f"case {case.id} about {case.resource}: {case.state} {case.held_because}".strip()
            for case in await self.watching.cases(GREEDY)
        ]
        return "; ".join(states) or "no case"


def since(before: Mapping[str, Reading], now: Mapping[str, Reading]) -> dict[str, Use]:
    """Everybody's use between two readings."""
    return {tenant: between(before[tenant], now[tenant]) for tenant in now}


def figures(uses: Mapping[str, Use]) -> dict[str, dict[str, float]]:
    """The same for the JSON file, units in the names."""
    names = {
        "cores": "cpu_seconds_per_second",
        "waiting": "cpu_waiting_share",
        "net_out": "sent_bytes_per_second",
        "net_in": "received_bytes_per_second",
        "goodput": "goodput_bytes_per_second",
        "seconds": "seconds",
    }
    return {
        tenant: {names[name]: round(value, 4) for name, value in asdict(use).items()}
        for tenant, use in uses.items()
    }
