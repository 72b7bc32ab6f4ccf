"""Which notices make a letter, which wait, which are not sent, and to whom a letter goes."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cases.model import Case, NoticeKind
from controller.contact.delivery import Refused
from controller.contact.grouping import (
    MOST_IN_A_LETTER,
    Decision,
    Send,
    Thing,
    Wait,
    Withhold,
    decide,
)
from controller.contact.notice import Queued
from controller.contact.routing import in_order, passes_on
from controller.contact.timing import not_before
from controller.quiet import QuietTimes
from controller.settings import Contact
from controller.tenants import TenantContact
from fairuse_protocol.units import Duration
from tests.contact import samples

NOW = samples.NOW
"""14:00 UTC on a Sunday."""
GROUP_SECONDS = 120.0
SETTINGS = Contact(group_interval=Duration(GROUP_SECONDS), most_a_day=3)
AWAKE = QuietTimes(ZoneInfo("UTC"))
ASLEEP = QuietTimes(ZoneInfo("UTC"), (dt.time(13), dt.time(18)))
WAKES_AT = NOW + 4 * 3600
KINDS = get_args(NoticeKind)
NEVER_WITHHELD = {"decision", "limit-started", "limit-ended"}
DOCUMENT = samples.document()


def notice(id_: str = "n1", kind: Any = "first-notice", **changes: Any) -> Queued:
    queued_at = changes.pop("queued_at", NOW)
    case = msgspec.structs.replace(DOCUMENT.case, id=f"c-{id_}", **changes)
    document = msgspec.structs.replace(DOCUMENT, case=case)
    return Queued(id_, kind, queued_at, document)


def decided(
    outbox: list[Queued], sent: dict[Thing, int], quiet: QuietTimes, now: float = NOW
) -> list[Decision]:
    """Where "vip" is under another policy than the other hosts."""
    return decide(outbox, sent, quiet, SETTINGS, policy_name, now)


def policy_name(case: Case) -> str:
    return "other" if case.host == "vip" else "usual"


def ids(decision: Decision) -> list[str]:
    if isinstance(decision, Withhold):
        return [decision.notice.id]
    return [each.id for each in decision.notices]


@st.composite
def outboxes(draw: st.DrawFn) -> list[Queued]:
    return [
        notice(
            f"n{number}",
            draw(st.sampled_from(KINDS)),
            host=draw(st.sampled_from(["h1", "h2", "vip"])),
            severity=draw(st.sampled_from(["low", "high", "critical"])),
            queued_at=NOW - draw(st.sampled_from([0.0, 60.0, 119.0, 120.0, 5000.0])),
            deadline=NOW + draw(st.sampled_from([-1.0, 100.0, 7200.0, 1e6])),
        )
        for number in range(draw(st.integers(0, 30)))
    ]


@given(
    outbox=outboxes(),
    sent=st.dictionaries(
        st.tuples(st.sampled_from(["h1", "h2"]), st.just("cpu")), st.integers(0, 5)
    ),
    asleep=st.booleans(),
)
def test_every_notice_is_decided_on_once_and_none_that_cannot_wait_does(
    outbox: list[Queued], sent: dict[tuple[str, str], int], asleep: bool
) -> None:
    decisions = decided(outbox, sent, ASLEEP if asleep else AWAKE)
    assert sorted(i for each in decisions for i in ids(each)) == sorted(n.id for n in outbox)
    counted = dict(sent)
    for decision in decisions:
        match decision:
            case Send(notices):
                assert len(notices) <= MOST_IN_A_LETTER
                if len(notices) > 1:
                    assert {each.kind for each in notices} == {"first-notice"}
                    assert len({policy_name(each.document.case) for each in notices}) == 1
                assert [n.queued_at for n in notices] == [
                    n.queued_at for n in outbox if n in notices
                ], "in the order in which they came"
            case Wait(notices, until, for_quiet):
                assert until > NOW
                kinds = {each.kind for each in notices}
                assert not kinds & {"limit-started", "limit-ended"}
                assert "critical" not in {each.document.case.severity for each in notices}
                if not for_quiet:
                    assert kinds == {"first-notice"}
                    assert until <= min(each.queued_at for each in notices) + GROUP_SECONDS
                else:
                    assert asleep
                    assert {each.document.case.severity for each in notices} == {"low"}
            case Withhold(withheld):
                assert withheld.kind not in NEVER_WITHHELD
    for each in outbox:
        thing = (each.document.case.host, each.document.case.resource)
        if any(isinstance(d, Withhold) and d.notice is each for d in decisions):
            assert counted.get(thing, 0) >= SETTINGS.most_a_day
        else:
            counted[thing] = counted.get(thing, 0) + 1


def test_first_notices_that_come_within_the_interval_make_one_letter() -> None:
    first = notice("n1", queued_at=NOW - GROUP_SECONDS)
    second = notice("n2", queued_at=NOW - 1, host="h2")
    (decision,) = decided([first, second], {}, AWAKE)
    assert decision == Send((first, second))


def test_the_first_of_them_waits_for_no_longer_than_the_interval() -> None:
    first = notice("n1", queued_at=NOW - 50)
    (decision,) = decided([first, notice("n2")], {}, AWAKE)
    assert isinstance(decision, Wait)
    assert decision.until == NOW - 50 + GROUP_SECONDS
    assert not decision.for_quiet


def test_a_critical_one_waits_for_nobody_and_takes_the_others_along() -> None:
    waiting = notice("n1", severity="low", queued_at=NOW - 5)
    critical = notice("n2", severity="critical")
    assert decided([waiting, critical], {}, ASLEEP) == [Send((waiting, critical))]


def test_other_notices_go_out_alone_and_at_once() -> None:
    ended, closed = notice("n1", "limit-ended"), notice("n2", "closed")
    assert decided([ended, closed], {}, AWAKE) == [Send((ended,)), Send((closed,))]


def test_what_is_over_the_days_number_is_not_sent_but_news_of_a_limit_is() -> None:
    sent = {("node-17", "cpu"): 3}
    first, started = notice("n1"), notice("n2", "limit-started")
    withheld, told = decided([first, started], sent, AWAKE)
    assert isinstance(withheld, Withhold)
    assert "3 notices about cpu on node-17" in withheld.reason
    assert told == Send((started,))
    (other,) = decided([notice("n3", host="h2", queued_at=0)], sent, AWAKE)
    assert isinstance(other, Send), "another host is another thing"


@pytest.mark.parametrize(
    ("kind", "severity", "deadline", "waits"),
    [
        pytest.param("first-notice", "low", None, True, id="first"),
        pytest.param("closed", "low", None, True, id="closed"),
        pytest.param("first-notice", "high", None, False, id="high"),
        pytest.param("first-notice", "critical", None, False, id="critical"),
        pytest.param("limit-started", "low", None, False, id="a-limit-stands"),
        pytest.param("limit-ended", "low", None, False, id="a-limit-ended"),
        pytest.param("decision", "low", None, True, id="a-decision"),
        pytest.param("decision", "low", NOW + 7 * 3600, False, id="a-decision-in-need"),
        pytest.param("reminder", "low", NOW + 9 * 3600, True, id="a-reminder-in-time"),
        pytest.param("reminder", "low", NOW + 7 * 3600, False, id="a-reminder-too-late-after"),
        pytest.param("reminder", "high", NOW + 9 * 3600, False, id="a-reminder-of-high"),
    ],
)
def test_only_what_can_wait_waits_for_the_end_of_a_quiet_time(
    kind: str, severity: str, deadline: float | None, waits: bool
) -> None:
    about = notice("n1", kind, severity=severity, deadline=deadline)
    assert not_before(about, ASLEEP, NOW) == (WAKES_AT if waits else NOW)
    assert not_before(about, AWAKE, NOW) == NOW


def test_a_night_of_low_notices_becomes_one_letter_in_the_morning() -> None:
    evening, night = (
        notice("n1", severity="low", queued_at=NOW - 7200),
        notice("n2", severity="low"),
    )
    (decision,) = decided([evening, night], {}, ASLEEP)
    assert decision == Wait((evening, night), WAKES_AT, for_quiet=True)
    assert decided([evening, night], {}, ASLEEP, now=WAKES_AT) == [Send((evening, night))]


def test_cases_under_different_policies_are_not_in_one_letter() -> None:
    usual, other, usual_too = notice("n1"), notice("n2", host="vip"), notice("n3")
    decisions = decided([usual, other, usual_too], {}, AWAKE, now=NOW + GROUP_SECONDS)
    assert decisions == [Send((usual, usual_too)), Send((other,))]


def test_technical_contacts_come_first_and_billing_last() -> None:
    billing, abuse = TenantContact(role="billing"), TenantContact(role="abuse")
    first, second = TenantContact(name="Anna"), TenantContact(name="Berit")
    mute = TenantContact(role="technical", channels=())
    assert in_order([billing, first, mute, abuse, second]) == (first, second, abuse, billing)


@pytest.mark.parametrize(
    ("for_good", "waited", "passes"),
    [
        ([True, True], 0.0, True),
        ([True, False], 0.0, False),
        ([False], 899.0, False),
        ([False], 900.0, True),
    ],
)
def test_the_next_contact_is_asked_when_this_one_has_refused_or_kept_us_waiting(
    for_good: list[bool], waited: float, passes: bool
) -> None:
    refusals = [Refused("email", "no", each) for each in for_good]
    assert passes_on(refusals, waited_seconds=waited, next_contact_after=900.0) is passes
