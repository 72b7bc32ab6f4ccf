from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from controller.cases import granting, requests
from controller.cases.answers import check_solved
from controller.cases.model import Case, QueueNotice, Step
from controller.cases.requests import Decision, Wanted, possible_requests
from controller.cases.steps import CaseRefused
from controller.fairshare.policy import Policy
from fairuse_protocol.messages import MessageError
from tests.cases.world import CALM, POLICY, World
from tests.contact import samples

NOW = samples.NOW
YES = Decision(by="otto", reason="fine")
NO = Decision(by="otto", reason="sorry")
AGREEMENT = Wanted(ends_at=NOW + 86400, asked_by="Hanne", note="for the shop")
TEST = dataclasses.replace(AGREEMENT, begins_at=NOW + 3600)


def notified(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "state": "notified",
        "notice_accepted_at": NOW,
        "deadline": NOW + 3600,
    }
    return samples.case(**{**fields, **changes})


def notices_of(done: Step) -> list[str]:
    return [action.kind for action in done.actions if isinstance(action, QueueNotice)]


@given(seconds=st.floats(1, 1e7), used=st.booleans())
def test_asking_for_time_gives_at_most_what_the_policy_gives_and_takes_none_away(
    seconds: float, used: bool
) -> None:
    case = notified(answers=("more-time",) if used else ())
    done = requests.ask_for_time(case, seconds, "", Policy(), now=NOW)
    given_at_once = (done.case.deadline or 0) - (case.deadline or 0)
    assert given_at_once == (0 if used else Policy().times.more_time)
    assert bool(done.case.requests) == (used or seconds > Policy().times.more_time)
    assert done.case.version == case.version + 1


def test_the_rest_of_the_time_is_from_the_deadline_on_and_granted_by_a_person() -> None:
    case = notified()
    asked = requests.ask_for_time(case, 3 * 86400, "later", Policy(), now=NOW).case
    granted = requests.grant(asked, "more-time", YES, None, now=NOW)
    assert granted.case.deadline == (case.deadline or 0) + 3 * 86400
    assert [(entry.event, entry.actor) for entry in granted.entries] == [
        ("granted-more-time", "otto")
    ]
    assert notices_of(granted) == ["decision"]
    less = dataclasses.replace(YES, ends_at=NOW + 7200)
    # Less than the customer has by now takes nothing away.
    assert requests.grant(asked, "more-time", less, None, now=NOW).case.deadline == asked.deadline


def test_time_that_is_over_or_that_no_deadline_needs_is_not_granted() -> None:
    asked = requests.ask_for_time(notified(), 3 * 86400, "", Policy(), now=NOW).case
    with pytest.raises(CaseRefused, match="name a later one"):
        requests.grant(asked, "more-time", YES, None, now=NOW + 30 * 86400)
    limited = samples.case(state="limited", requests=asked.requests)
    with pytest.raises(CaseRefused, match="limited has no deadline"):
        requests.grant(limited, "more-time", YES, None, now=NOW)


def test_a_refused_request_changes_nothing_but_the_record() -> None:
    asked = requests.ask_for_agreement(notified(), AGREEMENT, Policy(), now=NOW).case
    done = requests.refuse(asked, None, NO, now=NOW + 60)
    assert notices_of(done) == ["decision"], "the customer is told"
    refused = done.case
    (request,) = refused.requests
    assert (request.state, request.decided_by, request.answer) == ("refused", "otto", "sorry")
    assert (refused.state, refused.deadline) == (asked.state, asked.deadline)
    with pytest.raises(CaseRefused, match="found none"):
        requests.refuse(refused, "agreement", NO, now=NOW)


def test_asking_for_what_a_person_decides_acknowledges_the_notice_once() -> None:
    asked = requests.ask_for_agreement(notified(), AGREEMENT, Policy(), now=NOW).case
    assert asked.deadline == NOW + Policy().times.acknowledged
    later = NOW + 3 * 3600
    again = requests.ask_for_test(asked, TEST, Policy(), now=later).case
    assert again.deadline == asked.deadline


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("watching", ("more-time", "agreement", "load-test")),
        ("notified", ("more-time", "agreement", "load-test")),
        ("limited", ("agreement", "load-test")),
        ("held", ()),
        ("closed", ()),
    ],
)
def test_what_can_be_asked_for_follows_the_state(state: str, offered: tuple[str, ...]) -> None:
    case = notified(state=state)
    assert possible_requests(case) == offered
    if "agreement" in offered:
        asked = requests.ask_for_agreement(case, AGREEMENT, Policy(), now=NOW).case
        assert "agreement" not in possible_requests(asked)
        with pytest.raises(CaseRefused, match="asked for this already"):
            requests.ask_for_agreement(asked, AGREEMENT, Policy(), now=NOW)
    else:
        with pytest.raises(CaseRefused):
            requests.ask_for_agreement(case, AGREEMENT, Policy(), now=NOW)


def test_an_operator_has_to_say_which_of_two_requests_is_meant() -> None:
    asked = requests.ask_for_agreement(notified(), AGREEMENT, Policy(), now=NOW).case
    asked = requests.ask_for_test(asked, TEST, Policy(), now=NOW).case
    with pytest.raises(CaseRefused, match='found "agreement", "load-test"'):
        requests.request_to_decide(asked, None)
    assert requests.request_to_decide(asked, "load-test").kind == "load-test"


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("agreement", YES),
        ("agreement", dataclasses.replace(YES, share=0.5, exempt=True)),
        ("load-test", dataclasses.replace(YES, share=0.5)),
        ("load-test", dataclasses.replace(YES, exempt=True)),
    ],
)
def test_an_agreement_says_to_what_and_a_test_is_without_bounds(
    kind: str, decision: Decision
) -> None:
    ask = requests.ask_for_agreement if kind == "agreement" else requests.ask_for_test
    asked = ask(notified(), TEST, Policy(), now=NOW).case
    with pytest.raises(MessageError, match="share: expected"):
        requests.agreed_terms(asked, asked.requests[0], decision)


async def test_a_grant_that_crashes_leaves_neither_the_agreement_nor_the_decision(
    world: World,
) -> None:
    await world.reports(10)
    case = await world.only_case()
    wanted = dataclasses.replace(AGREEMENT, ends_at=world.now + 86400)
    await world.desk.carry_out(
        case.id, lambda newest, now: requests.ask_for_agreement(newest, wanted, POLICY, now=now)
    )
    world.faulty.fail = OSError("no space left")
    exempt = dataclasses.replace(YES, exempt=True)
    with pytest.raises(OSError, match="no space"):
        await granting.grant(world.desk, case.id, "agreement", exempt)
    world.faulty.fail = None
    await world.restart()
    assert world.desk.agreements.listed(tenant="hog") == []
    assert (await world.only_case()).requests[0].state == "waiting"
    await granting.grant(world.desk, case.id, "agreement", exempt)
    await world.restart()
    assert len(world.desk.agreements.listed(tenant="hog")) == 1
    assert (await world.only_case()).requests[0].state == "granted"


async def test_solved_and_calm_since_then_closes_the_case_when_its_check_is_over(
    world: World,
) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "solved", "stopped it")
    said_at = world.now
    closed = await world.until(lambda each: each.state == "closed", used=CALM, waiting=0.0)
    assert closed.closing == "resolved"
    assert (closed.closed_at or 0) - said_at <= POLICY.times.solved_check


async def test_solved_and_not_so_goes_on_says_so_and_is_limited(world: World) -> None:
    await world.reports(10)
    await world.deliver()
    case = await world.only_case()
    await world.desk.answer(case.id, "solved", "stopped it")
    said_at = world.now
    found = await world.until(lambda each: each.solved_at is None)
    assert world.now - said_at == POLICY.times.solved_check
    assert found.state in ("notified", "limited")
    assert [e.event for e in await world.desk.timeline(case.id)].count("not-solved") == 1
    await world.until(lambda each: each.state == "limited")


def test_a_check_without_measurements_waits_for_some() -> None:
    case = notified(solved_at=NOW, answers=("solved",))
    later = NOW + 10 * Policy().times.solved_check
    verdict = samples.verdict(decided_at=later, samples=())
    assert check_solved(case, verdict, Policy()) is None


def test_the_load_from_before_it_was_solved_does_not_count_in_its_check() -> None:
    given_seconds = Policy().times.solved_check
    solved_at = NOW - given_seconds
    case = notified(solved_at=solved_at, answers=("solved",))
    before = samples.verdict()
    calm = tuple(
        structs.replace(each, used=0.1, neighbours_harmed=0)
        if each.ended_at - each.seconds >= solved_at
        else each
        for each in before.samples
    )
    done = check_solved(case, samples.verdict(samples=calm), Policy())
    assert done is not None
    assert done.case.closing == "resolved"
    again = check_solved(case, before, Policy())
    assert again is not None
    assert again.case.state == "notified"
    assert again.case.solved_at is None
