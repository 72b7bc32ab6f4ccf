"""A case from its first sign to its end, over a real database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from controller.cases.desk import UnknownCase
from controller.cases.policies import OnePolicy
from controller.cases.steps import CaseRefused
from controller.contact import recording
from controller.contact.letters import queued
from fairuse_protocol.limits import LimiterState, RefusedLimit
from tests.cases.world import BUSY, CALM, DEADLINE, POLICY, World, kinds_sent, limited

LIMITED = {"hog": 3.0, "a": 0.5, "b": 0.5, "c": 0.5}


async def test_a_disproportionate_tenant_is_written_to_and_limited_after_the_deadline(
    world: World,
) -> None:
    await world.reports(10)
    assert (await world.only_case()).state == "watching"
    assert world.desk.limits_for("h1", world.now) == ()
    await world.deliver()
    case = await world.only_case()
    assert case.state == "notified"
    assert case.deadline == world.now + DEADLINE
    await world.reports(5)
    assert (await world.only_case()).state == "notified"
    await world.reports(1)
    case = await world.only_case()
    assert case.state == "limited"
    (order,) = world.desk.limits_for("h1", world.now)
    assert order.allowance.cores == pytest.approx(3.0), "a step down from six cores"
    assert order.fair_share.cores == pytest.approx(2.0)
    assert order.remaining_seconds == pytest.approx(120)


async def test_the_customer_hears_of_a_limit_once_the_host_holds_it(world: World) -> None:
    await limited(world)
    assert await kinds_sent(world) == ["first-notice", "limit-started"]
    await world.reports(2, LIMITED, limiter=world.holding(), waiting=0.0)
    assert await kinds_sent(world) == ["first-notice", "limit-started"]


async def test_a_limit_ends_with_its_lease_and_its_effect_is_kept(world: World) -> None:
    await limited(world)
    await world.reports(10, LIMITED, limiter=world.holding(), waiting=0.0)
    world.now += 30
    assert world.desk.limits_for("h1", world.now) == (), "not a second past the lease"
    await world.desk.tick()
    case = await world.only_case()
    assert (case.state, case.closing) == ("closed", "relieved")
    assert (await kinds_sent(world))[-1] == "limit-ended"
    await world.reports(3, CALM, waiting=0.05)
    case = await world.only_case()
    assert case.effect is not None
    assert case.effect.before == pytest.approx(0.3)
    assert case.effect.during == pytest.approx(0.0)
    assert case.effect.after == pytest.approx(0.0)


async def test_usage_that_subsides_before_the_deadline_is_never_limited(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    await world.reports(20, CALM, waiting=0.0)
    case = await world.only_case()
    assert (case.state, case.closing) == ("closed", "subsided")
    assert await world.stored_orders() == []
    assert await kinds_sent(world) == ["first-notice", "closed"]


async def test_no_limit_while_no_channel_has_accepted_the_notice(world: World) -> None:
    await world.reports(50)
    assert (await world.only_case()).state == "watching"
    case = await world.only_case()
    notice = [queued(row) for row in await world.unsettled()]
    await recording.failed(world.desk, notice, "550 no such mailbox", world.now, ())
    await world.reports(50)
    case = await world.only_case()
    assert case.state == "held"
    assert "550" in case.held_because
    assert await world.stored_orders() == []


@pytest.mark.parametrize("mode", ["observe", "contact"])
async def test_nobody_is_limited_and_in_observe_nobody_written_to(world: World, mode: str) -> None:
    await world.restart(mode)  # type: ignore[arg-type]  # the two modes above
    await world.reports(10)
    await world.deliver()
    await world.reports(30)
    case = await world.only_case()
    assert case.state == ("watching" if mode == "observe" else "notified")
    assert await world.stored_orders() == []
    assert world.mailbox == ([] if mode == "observe" else [case.notice])


async def test_an_operator_can_order_by_name_with_a_reason(world: World) -> None:
    await world.restart("contact")
    await world.reports(10)
    case = await world.only_case()
    await world.desk.approve(case.id, by="anna", reason="neighbours called")
    (order,) = await world.stored_orders()
    assert (order.ordered_by, order.reason) == ("anna", "neighbours called")
    assert len(world.desk.limits_for("h1", world.now)) == 1


async def test_a_limit_ordered_before_anybody_was_written_to_is_told_and_so_is_its_end(
    world: World,
) -> None:
    await world.reports(10)
    case = await world.only_case()
    await world.desk.approve(case.id, by="anna", reason="neighbours called")
    await world.report(limiter=world.holding())
    await world.deliver()
    case = await world.only_case()
    assert (case.state, case.notice_accepted_at) == ("limited", world.now)
    await world.desk.lift(case.id, by="anna", reason="they called back")
    assert (await kinds_sent(world))[-2:] == ["limit-started", "limit-ended"]


async def test_only_a_first_notice_starts_the_clock(world: World) -> None:
    await world.reports(10)
    case = await world.only_case()
    for notice in [queued(row) for row in await world.unsettled()]:
        await recording.failed(world.desk, [notice], "nobody is listed", world.now, ())
    await world.desk.approve(case.id, by="anna", reason="neighbours called")
    await world.report(limiter=world.holding())
    await world.deliver()
    case = await world.only_case()
    assert (await kinds_sent(world))[-1] == "limit-started"
    assert (case.notice_accepted_at, case.deadline) == (None, None)


async def test_an_operator_cannot_limit_who_is_not_over_or_in_observe(world: World) -> None:
    await world.reports(10)
    await world.report(CALM)
    case = await world.only_case()
    with pytest.raises(CaseRefused, match="promise 4"):
        await world.desk.approve(case.id, by="anna", reason="x")
    await world.restart("observe")
    await world.report()
    with pytest.raises(CaseRefused, match="observe"):
        await world.desk.approve(case.id, by="anna", reason="x")


async def test_an_operators_no_stands_and_a_lift_closes(world: World) -> None:
    await limited(world)
    case = await world.only_case()
    lifted = await world.desk.lift(case.id, by="anna", reason="vip")
    assert (lifted.state, lifted.closing) == ("closed", "relieved")
    assert world.desk.limits_for("h1", world.now) == ()
    await world.reports(4)
    assert len(await world.desk.cases()) == 1, "old use does not open a new case"
    await world.reports(2)
    again = next(case for case in await world.desk.cases() if case.state != "closed")
    assert again.repeat_of == case.id
    await world.desk.dismiss(again.id, by="anna", reason="agreed by phone")
    await world.reports(20)
    assert [case.state for case in await world.desk.cases()] == ["closed", "closed"]


async def test_pause_lifts_everything_and_nothing_starts_until_resume(world: World) -> None:
    await limited(world)
    await world.desk.pause(by="anna", reason="incident")
    assert world.desk.limits_for("h1", world.now) == ()
    await world.restart()
    assert world.desk.paused
    await world.reports(30)
    await world.desk.resume(by="anna", reason="over")
    await world.reports(10)
    case = await world.only_case()
    assert case.state == "held", "what a person stopped, a person starts again"
    assert await kinds_sent(world) == ["first-notice", "limit-started", "limit-ended"]
    await world.desk.approve(case.id, by="anna", reason="go on")
    assert len(world.desk.limits_for("h1", world.now)) == 1


async def test_a_restart_changes_nothing(world: World) -> None:
    await limited(world)
    before = world.desk.limits_for("h1", world.now)
    await world.restart()
    assert world.desk.limits_for("h1", world.now) == before
    await world.report(LIMITED, limiter=world.holding())
    assert len(world.desk.limits_for("h1", world.now)) == 1


async def test_a_mode_set_back_lifts_what_the_rule_ordered(world: World) -> None:
    await limited(world)
    await world.restart("contact")
    assert world.desk.limits_for("h1", world.now) == ()
    assert (await world.only_case()).state == "held"


@pytest.mark.parametrize(("promise", "state"), [(4, "notified"), (3, "held")])
async def test_a_refusal_is_tried_again_or_decided_by_a_person(
    world: World, promise: int, state: str
) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.until(lambda case: case.state == "limited")
    assert case.limit is not None
    refusal = RefusedLimit(
        order=case.limit.order, tenant="hog", resource="cpu", promise=promise, reason="no"
    )
    await world.report(limiter=LimiterState(refused=(refusal,)))
    case = await world.only_case()
    assert case.state == state
    assert world.desk.limits_for("h1", world.now) == ()


async def test_a_limit_steps_down_while_neighbours_wait_but_never_under_the_fair_share(
    world: World,
) -> None:
    await limited(world)
    seen = []
    for _ in range(8):
        await world.report(LIMITED, limiter=world.holding(), waiting=0.2)
        seen += [o.allowance.cores for o in world.desk.limits_for("h1", world.now)]
    assert min(c for c in seen if c is not None) == pytest.approx(2.0)


async def test_a_limit_that_does_not_help_ends_and_a_person_is_asked(world: World) -> None:
    await limited(world)
    still_busy = {"hog": 3.0, "a": 1.5, "b": 1.5, "c": 1.5}
    for _ in range(8):
        await world.report(still_busy, limiter=world.holding(), waiting=0.3)
    case = await world.only_case()
    assert (case.state, case.held_because) == ("held", "the limit did not help")
    assert world.desk.limits_for("h1", world.now) == ()


async def test_a_limit_ends_when_the_host_has_room_again(world: World) -> None:
    await limited(world)
    quiet = {"hog": 1.0, "a": 0.1, "b": 0.1, "c": 0.1}
    await world.reports(4, quiet, limiter=world.holding(), waiting=0.0)
    assert (await world.only_case()).closing == "relieved"


async def test_a_limit_that_no_host_confirmed_is_a_persons_business(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    await world.until(lambda case: case.state == "limited")
    await world.pass_time(130)
    case = await world.only_case()
    assert case.state == "held"
    assert await kinds_sent(world) == ["first-notice"]


async def test_the_fleet_is_never_limited_beyond_the_policys_number(world: World) -> None:
    import msgspec

    none_allowed = msgspec.structs.replace(POLICY.limit, max_limits_per_host=0)
    world.choice = OnePolicy(msgspec.structs.replace(POLICY, limit=none_allowed))
    await world.restart()
    await world.reports(10)
    await world.deliver()
    await world.reports(30)
    assert (await world.only_case()).state == "notified"


async def test_an_order_without_an_accepted_notice_or_an_operator_cannot_be_stored(
    world: World,
) -> None:
    await world.reports(10)
    case = await world.only_case()
    columns = (
        "INSERT INTO orders (id, case_id, host, tenant, resource, issued_at, lease_until, "
        "notice_id, ordered_by, reason, document) VALUES "
        "('o', :case, 'h1', 'hog', 'cpu', 0, 1, :notice, :by, :reason, '{}')"
    )
    for values in (
        {"notice": None, "by": None, "reason": "because"},
        {"notice": None, "by": "anna", "reason": ""},
        {"notice": "another-notice", "by": None, "reason": "because"},
    ):
        with pytest.raises(sa.exc.IntegrityError):
            async with world.database.write() as connection:
                await connection.execute(sa.text(columns), {"case": case.id, **values})


async def test_an_unknown_case_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(UnknownCase, match="nope"):
        await world.desk.dismiss("nope", by="anna", reason="x")
    assert await world.desk.case("nope") is None


async def test_every_step_leaves_a_line_in_the_history(world: World) -> None:
    await limited(world)
    case = await world.only_case()
    events = [entry.event for entry in await world.desk.timeline(case.id)]
    assert events == [
        "opened",
        "notice-queued",
        "notice-accepted",
        "limit-ordered",
        "limit-started",
    ]
    assert BUSY["hog"] == pytest.approx(case.verdict.average_used)
