"""What goes wrong around a case: clocks that jump, hosts that vanish, people in a hurry."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa

from controller.cases.model import OrderDocument
from controller.fairshare.policy import kept_rule
from controller.fairshare.rule import decide
from fairuse_protocol.limits import LimiterState, RefusedLimit
from fairuse_protocol.messages import MessageError
from fairuse_protocol.reports import decode_report
from tests.cases.test_desk import LIMITED
from tests.cases.world import CALM, DEADLINE, World, kinds_sent, limited
from tests.fairshare.reports import cpu_report

GONE = {"a": 0.5, "b": 0.5, "c": 0.5}


async def notified(world: World) -> None:
    await world.reports(10)
    await world.deliver()


async def test_a_clock_set_forward_brings_no_deadline_nearer(world: World) -> None:
    await notified(world)
    world.now += 45
    await world.desk.tick()
    case = await world.only_case()
    assert case.deadline == pytest.approx(world.now + DEADLINE)
    events = [entry.event for entry in await world.desk.timeline(case.id)]
    assert events[-1] == "deadline-moved"


async def test_a_case_about_a_tenant_that_left_closes(world: World) -> None:
    await notified(world)
    await world.reports(20, GONE, waiting=0.0)
    case = await world.only_case()
    assert (case.state, case.closing) == ("closed", "subsided")


async def test_a_host_that_was_silent_for_a_month_does_not_bring_a_limit_on_an_old_notice(
    world: World,
) -> None:
    await notified(world)
    await world.pass_time(30 * 86400)
    await world.reports(8)
    assert await world.stored_orders() == []
    new, old = await world.desk.cases()
    assert (old.state, old.closing) == ("closed", "subsided")
    assert new.state == "watching", "and the customer is written to again"


async def test_a_short_silence_moves_the_deadline_by_as_much(world: World) -> None:
    await notified(world)
    await world.pass_time(55)
    await world.report()
    case = await world.only_case()
    assert case.deadline == pytest.approx(world.now - 10 + DEADLINE)


async def test_silence_is_no_sign_of_subsiding(world: World) -> None:
    await notified(world)
    await world.pass_time(55)
    await world.reports(3, CALM, waiting=0.0)
    assert (await world.only_case()).state == "notified"


async def test_solved_and_refused_never_bring_a_deadline_nearer(world: World) -> None:
    await notified(world)
    case = await world.desk.answer((await world.only_case()).id, "more-time", "")
    promised = case.deadline
    assert promised is not None
    case = await world.desk.approve(case.id, by="anna", reason="urgent")
    assert case.limit is not None
    refusal = RefusedLimit(
        order=case.limit.order, tenant="hog", resource="cpu", promise=4, reason="not over"
    )
    await world.report(limiter=LimiterState(refused=(refusal,)))
    case = await world.only_case()
    assert case.deadline == promised
    case = await world.desk.approve(case.id, by="anna", reason="urgent")
    case = await world.desk.answer(case.id, "solved", "")
    assert case.deadline == promised


@pytest.mark.parametrize("ending", ["solved", "spare", "pause", "refused"])
async def test_a_dispute_is_decided_by_a_person_however_the_limit_ends(
    world: World, ending: str
) -> None:
    await limited(world)
    case = await world.desk.answer((await world.only_case()).id, "dispute", "not us")
    assert case.limit is not None
    match ending:
        case "solved":
            await world.desk.answer(case.id, "solved", "")
        case "spare":
            room = {"hog": 1.0, "a": 0.1, "b": 0.1, "c": 0.1}
            await world.reports(4, room, limiter=world.holding(), waiting=0.0)
        case "pause":
            await world.desk.pause(by="anna", reason="incident")
            await world.desk.resume(by="anna", reason="over")
        case "refused":
            refusal = RefusedLimit(
                order=case.limit.order, tenant="hog", resource="cpu", promise=4, reason="no"
            )
            await world.report(LIMITED, limiter=LimiterState(refused=(refusal,)))
    case = await world.only_case()
    assert (case.state, case.held_because) == ("held", "the customer disputes it")
    await world.reports(30)
    assert world.desk.limits_for("h1", world.now) == ()
    assert (await kinds_sent(world))[-1] == "limit-ended", "who was told of the start is told"


async def test_nobody_is_limited_on_what_a_late_spool_tells(world: World) -> None:
    await notified(world)
    await world.reports(3)
    late = [cpu_report(world.now + 10.0 * (i + 1), {"hog": 6.0, **GONE}) for i in range(6)]
    world.now += 110
    world.steady += 110
    for report in late:
        await world.desk.observe(world.desk.see(report))
    assert await world.stored_orders() == []


async def test_an_acceptance_counts_also_when_an_operator_was_quicker(world: World) -> None:
    await world.reports(10)
    case = await world.only_case()
    await world.desk.approve(case.id, by="anna", reason="urgent")
    await world.deliver()
    await world.report(limiter=world.holding())
    assert (await world.only_case()).notice_accepted_at is not None
    assert await kinds_sent(world) == ["first-notice", "limit-started"]


async def test_an_order_held_and_refused_in_one_report_is_taken_in(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.until(lambda case: case.state == "limited")
    assert case.limit is not None
    refusal = RefusedLimit(
        order=case.limit.order, tenant="hog", resource="cpu", promise=3, reason="one of two"
    )
    both = msgspec.structs.replace(world.holding(), refused=(refusal,))
    await world.report(LIMITED, limiter=both)
    assert (await world.only_case()).state == "held"


async def test_a_limit_that_the_fair_share_has_outgrown_rises_to_it_at_once(world: World) -> None:
    await limited(world)
    alone = {"hog": 3.0, "a": 0.5}
    await world.report(alone, limiter=world.holding(), waiting=0.2)
    (order,) = world.desk.limits_for("h1", world.now)
    assert order.allowance.cores == pytest.approx(4.0)


async def test_pause_holds_even_when_it_cannot_be_stored(world: World) -> None:
    await limited(world)
    world.faulty.fail = sa.exc.OperationalError("UPDATE", {}, Exception("disk full"))
    with pytest.raises(sa.exc.OperationalError):
        await world.desk.pause(by="anna", reason="incident")
    assert world.desk.limits_for("h1", world.now) == ()


async def test_a_case_that_cannot_be_read_does_not_stop_the_others(world: World) -> None:
    await notified(world)
    async with world.database.write() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO cases (id, host, tenant, resource, state, opened_at, version, "
                "document) VALUES ('broken', 'h2', 't', 'cpu', 'watching', 0, 1, '{}')"
            )
        )
    await world.restart()
    await world.reports(7)
    assert len(world.desk.limits_for("h1", world.now)) == 1, "the readable one goes its way"


async def test_no_host_is_told_more_than_the_lease_when_the_clock_goes_back(world: World) -> None:
    await limited(world)
    world.now -= 1000
    (order,) = world.desk.limits_for("h1", world.now)
    assert order.remaining_seconds <= 120


@pytest.mark.parametrize("cores", [1e-300, 0.0])
def test_a_capacity_that_shares_cannot_be_made_of_is_refused(cores: float) -> None:
    report = msgspec.to_builtins(cpu_report(10.0, {"a": 1.0}))
    report["usage"]["capacity"]["cpu_cores"] = cores
    with pytest.raises(MessageError, match="cpu_cores"):
        decode_report(msgspec.msgpack.encode(report))


async def test_a_customers_words_cannot_forge_a_line_of_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await notified(world)
    case = await world.only_case()
    with caplog.at_level("INFO"):
        await world.desk.answer(case.id, "acknowledge", "ok\n2026 CRITICAL all is lost")
    assert all("\n" not in record.getMessage() for record in caplog.records)


async def test_promise_9_what_opened_a_case_and_ordered_its_limit_can_be_replayed(
    world: World,
) -> None:
    await limited(world)
    case = await world.only_case()
    (order,) = await world.stored_orders()
    kept = msgspec.json.decode(order.document, type=OrderDocument)
    assert kept.evidence.decided_at == order.issued_at
    for evidence, rule in ((case.verdict, case.rule), (kept.evidence, kept.rule)):
        replayed = decide(
            evidence.samples, evidence.resource, kept_rule(rule), now=evidence.decided_at
        )
        assert replayed == evidence
        assert replayed.outcome == "disproportionate"
