"""A trace played through one policy, or through two for comparison, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from controller.backtest.events import EventStore
from controller.backtest.extent import Extent
from controller.backtest.replay import backtest
from controller.backtest.trace import Trace
from controller.fairshare.policy import Policy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy would have brought about."""

    label: str
    """What the policy is called where it stands beside another."""
    policy: Policy
    events: EventStore

    def written_to(self) -> set[str]:
        """The tenants who would have got a notice."""
        return {tenant for tenant, tally in self.events.by("tenant") if tally.notices}

    def limited(self) -> set[str]:
        """The tenants who would have been limited."""
        return {tenant for tenant, tally in self.events.by("tenant") if tally.limits}


@dataclass(frozen=True, slots=True)
class Played:
    """What a trace holds, and the outcome of each policy."""

    name: str
    """Of the trace: its folder's."""
    hosts: int
    tenants: int
    extent: Extent
    in_time_order: bool
    """If not, limits of different hosts were not counted together as they would have been."""
    outcomes: tuple[Outcome, ...]


@contextmanager
def play(
    trace: Trace, policies: Sequence[tuple[str, Policy]], on_rows: Callable[[int], None]
) -> Iterator[Played]:
    """Play the trace through policies, given with their labels; the events are there meanwhile.

    `on_rows` hears how many more rows were read. Raises TraceError where the trace is wrong.
    """
    with ExitStack() as stores:
        outcomes = []
        for label, policy in policies:
            events = EventStore()
            stores.callback(events.close)
            outcomes.append(Outcome(label, policy, events))
        extent = Extent()
        for batch in backtest(trace, [(outcome.policy, outcome.events) for outcome in outcomes]):
            extent.add(batch)
            on_rows(len(batch.tenant))
        yield Played(
            name=trace.samples.resolve().parent.name,
            hosts=len(trace.hosts),
            tenants=len(trace.tenant_names),
            extent=extent,
            in_time_order=trace.in_time_order,
            outcomes=tuple(outcomes),
        )
