"""Agreements and consents at work: ServicePoint's special agreements, consented load tests."""

from __future__ import annotations

import pytest

from controller.cases.agreements import AgreementBook, AgreementOver, UnknownAgreement
from controller.fairshare.agreement import Agreement, AgreementTerms
from fairuse_protocol.messages import MessageError
from tests.cases.world import BUSY, CALM, World

HALF = {"hog": 3.9, "a": 2.5, "b": 1.0, "c": 1.0}
"""The hog uses nearly half of the host, and twice its weight's share of two cores."""


async def recorded(world: World, **terms: object) -> Agreement:
    """An agreement with the hog that begins now and lasts for ten windows."""
    given: dict[str, object] = {
        "tenant": "hog",
        "kind": "exempt",
        "ends_at": world.now + 1000,
        "agreed_with": "Hanne Hog",
    }
    return await world.desk.agreements.record(
        AgreementTerms(**(given | terms)),  # type: ignore[arg-type]  # as given above
        by="otto",
    )


async def closings(world: World) -> list[str | None]:
    return [case.closing for case in await world.desk.cases()]


async def test_servicepoint_special_agreement_raises_the_fair_share_until_its_date(
    world: World,
) -> None:
    await recorded(world, kind="share", share=0.5, resource="cpu", ends_at=world.now + 300)
    await world.reports(30, {**HALF, "hog": 4.0})
    assert await world.desk.cases() == [], "four of eight cores were agreed"
    await world.reports(10, {**HALF, "hog": 4.0})
    (sample, *_) = (await world.only_case()).verdict.samples[::-1]
    assert (sample.fair_share, sample.agreed_share) == (2.0, 0.0)


async def test_servicepoint_special_agreement_is_no_exemption(world: World) -> None:
    await recorded(world, kind="share", share=0.3)
    await world.reports(10, BUSY)
    case = await world.only_case()
    assert case.verdict.average_fair_share == pytest.approx(0.3 * 8)
    assert case.verdict.samples[-1].agreed_share == 0.3


async def test_servicepoint_special_agreement_shows_in_the_tenants_fair_share(
    world: World,
) -> None:
    await recorded(world, kind="share", share=0.5, resource="cpu")
    await world.report()
    (host,) = world.desk.hosts()
    shares = {tenant.tenant: tenant.fair_share["cpu"] for tenant in host.tenants}
    assert shares == {"hog": 4.0, "a": 2.0, "b": 2.0, "c": 2.0}


async def test_an_exemption_holds_for_its_resource_and_host_only(world: World) -> None:
    await recorded(world, resource="disk")
    await recorded(world, host="h2")
    await world.reports(10)
    assert len(await world.desk.cases()) == 1


@pytest.mark.parametrize("terms", [{}, {"resource": "cpu", "host": "h1"}])
async def test_an_exempt_tenant_gets_no_case(world: World, terms: dict[str, object]) -> None:
    await recorded(world, **terms)
    await world.reports(30)
    assert await world.desk.cases() == []


@pytest.mark.parametrize("clause", ["secure_packet_5", "clever_cloud_2_3"])
async def test_a_consented_load_test_opens_no_case_inside_its_window_and_does_after_it(
    world: World, clause: str
) -> None:
    await recorded(world, kind="test", ends_at=world.now + 200, note=clause)
    await world.reports(20)
    assert await world.desk.cases() == []
    await world.reports(5)
    assert await world.desk.cases() == [], "most of the window was test"
    await world.reports(3)
    assert (await world.only_case()).state == "watching"


async def test_an_agreement_that_is_yet_to_begin_changes_nothing(world: World) -> None:
    await recorded(world, begins_at=world.now + 500)
    await world.reports(10)
    assert len(await world.desk.cases()) == 1


async def test_an_open_case_closes_as_agreed_with_the_next_report(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    await recorded(world)
    await world.report()
    assert await closings(world) == ["agreed"]
    await world.reports(30)
    assert await closings(world) == ["agreed"], "and no other opens"


async def test_a_disputed_case_that_a_person_settles_by_an_agreement_closes(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    await world.desk.answer((await world.only_case()).id, "dispute", "we have a contract")
    await recorded(world, kind="share", share=0.8)
    await world.report()
    assert await closings(world) == ["agreed"]


async def test_use_a_little_over_a_share_that_was_agreed_meanwhile_closes_as_agreed(
    world: World,
) -> None:
    await world.reports(10)
    await world.deliver()
    await recorded(world, kind="share", share=0.5)
    await world.reports(20, {"hog": 4.4, "a": 1.6, "b": 1.0, "c": 1.0})
    assert await closings(world) == ["agreed"], "the load did not go down"


async def test_use_that_was_agreed_is_no_earlier_offence(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    agreement = await recorded(world)
    await world.report()
    assert await closings(world) == ["agreed"]
    await world.desk.agreements.withdraw(agreement.id, by="otto", reason="the plan changed")
    await world.reports(12)
    (anew, _) = await world.desk.cases()
    assert (anew.state, anew.repeat_of) == ("watching", "")


async def test_an_agreement_lifts_the_limit_that_stands(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    await world.until(lambda case: case.state == "limited")
    await recorded(world)
    await world.report(limiter=world.holding())
    assert await closings(world) == ["agreed"]
    assert world.desk.limits_for("h1", world.now) == ()


async def test_a_larger_share_closes_no_case_of_use_that_is_over_that_too(world: World) -> None:
    await world.reports(10)
    await recorded(world, kind="share", share=0.5)
    await world.reports(3, BUSY)
    assert (await world.only_case()).state == "watching"


async def test_a_share_that_was_broken_already_does_not_close_the_case_as_agreed(
    world: World,
) -> None:
    await recorded(world, kind="share", share=0.3)
    await world.reports(10)
    await world.deliver()
    await world.reports(2, CALM)
    assert (await world.only_case()).state == "notified"


async def test_a_withdrawn_agreement_counts_no_more_and_stays_on_record(world: World) -> None:
    agreement = await recorded(world)
    await world.reports(10)
    withdrawn = await world.desk.agreements.withdraw(agreement.id, by="anna", reason="unpaid")
    assert (withdrawn.withdrawn_at, withdrawn.withdrawn_by) == (world.now, "anna")
    await world.reports(10)
    assert (await world.only_case()).state == "watching"
    (kept,) = world.desk.agreements.listed(tenant=None, limit=10)
    assert kept == withdrawn
    with pytest.raises(AgreementOver, match="withdrawn"):
        await world.desk.agreements.withdraw(agreement.id, by="anna", reason="again")
    with pytest.raises(UnknownAgreement, match="a0"):
        await world.desk.agreements.withdraw("a0", by="anna", reason="what")


async def test_an_agreement_that_has_ended_cannot_be_withdrawn(world: World) -> None:
    agreement = await recorded(world, ends_at=world.now + 5)
    world.now += 6
    with pytest.raises(AgreementOver, match="ended"):
        await world.desk.agreements.withdraw(agreement.id, by="anna", reason="late")


async def test_after_a_restart_the_window_is_judged_by_the_same_agreements(world: World) -> None:
    agreement = await recorded(world)
    await world.reports(9)
    await world.desk.agreements.withdraw(agreement.id, by="anna", reason="unpaid")
    await world.restart()
    await world.reports(5)
    assert await world.desk.cases() == [], "what was agreed then still is"
    await world.reports(2)
    assert len(await world.desk.cases()) == 1


async def test_nothing_is_agreed_backwards(world: World) -> None:
    await world.reports(5)
    await recorded(world, begins_at=world.now - 5000)
    await world.restart()
    await world.report()
    book = world.desk.agreements
    assert book.entitlements("h1", ("hog",), world.now - 10) is None
    assert book.entitlements("h1", ("hog",), world.now) is not None


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"kind": "share"}, "share"),
        ({"kind": "share", "share": 1.5}, "share"),
        ({"kind": "share", "share": 0.0}, "share"),
        ({"kind": "exempt", "share": 0.5}, "share"),
        ({"ends_at": 5.0}, "ends_at"),
        ({"begins_at": 2e9, "ends_at": 2e9}, "ends_at"),
        ({"kind": "test", "ends_at": 1_000_000.0 + 15 * 86400}, "ends_at.*14 days"),
    ],
)
async def test_terms_that_make_no_sense_are_refused_whole(
    world: World, terms: dict[str, object], field: str
) -> None:
    with pytest.raises(MessageError, match=field):
        await recorded(world, **terms)
    again = AgreementBook(world.database, lambda: world.now)
    await again.load()
    assert again.listed(tenant=None, limit=10) == []
