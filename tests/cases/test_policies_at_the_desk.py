"""Several policies at one desk: each tenant of a host is judged by its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from controller.cases.steps import CaseRefused
from controller.fairshare.policy import Policy
from tests.cases.test_desk import LIMITED
from tests.cases.world import POLICY, World, limited

STRICT = POLICY
LENIENT = msgspec.structs.replace(
    POLICY, name="lenient", rule=msgspec.structs.replace(POLICY.rule, ratio=9.0)
)
TWO_HEAVY = {"strict": 3.4, "lenient": 3.4, "a": 0.3, "b": 0.3, "c": 0.3, "d": 0.3}


@dataclass
class ByName:
    """A choice that a test can change under the running desk."""

    chosen: dict[str, Policy] = field(default_factory=lambda: {"lenient": LENIENT})

    def policy_for(self, tenant: str, _host: str) -> Policy:
        return self.chosen.get(tenant, STRICT)

    def policies(self) -> tuple[Policy, ...]:
        return (STRICT, *self.chosen.values())


async def test_two_tenants_of_one_host_are_judged_by_their_own_policies(tmp_path: Path) -> None:
    world = await World.open(tmp_path, choice=ByName())
    await world.reports(10, TWO_HEAVY)
    assert [case.tenant for case in await world.desk.cases()] == ["strict"]
    await world.database.close()


async def test_a_policy_that_changes_takes_effect_at_once_on_what_is_stored(
    tmp_path: Path,
) -> None:
    choice = ByName()
    world = await World.open(tmp_path, choice=choice)
    await world.reports(10, TWO_HEAVY)
    choice.chosen = {}
    await world.report(TWO_HEAVY)
    assert {case.tenant for case in await world.desk.cases()} == {"strict", "lenient"}
    await world.database.close()


async def test_nobody_is_limited_for_longer_a_day_than_the_policy_allows(tmp_path: Path) -> None:
    terms = msgspec.structs.replace(POLICY.limit, max_per_day=POLICY.limit.lease)
    world = await World.open(tmp_path, policy=msgspec.structs.replace(POLICY, limit=terms))
    await limited(world)
    first = await world.only_case()
    for _ in range(15):
        await world.report(LIMITED, limiter=world.holding(), waiting=0.0)
        await world.desk.tick()
    for _ in range(60):
        await world.report()
        await world.deliver()
    again, before = await world.desk.cases()
    assert (before.id, before.state) == (first.id, "closed")
    assert again.state == "notified"
    assert again.deadline is not None
    assert again.deadline < world.now
    with pytest.raises(CaseRefused, match="of the last day"):
        await world.desk.approve(again.id, by="anna", reason="it goes on")
    await world.database.close()
