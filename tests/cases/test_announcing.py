"""Who is told what that is about no case: once, in time, and only what is news."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from controller.cases.announcing import (
    STALE_SECONDS,
    PolicyChangeDocument,
    agreement_news,
    decode_document,
    encode_document,
    policy_changes,
)
from controller.cases.policies import policy_set
from controller.cases.selection import For, Selection
from controller.fairshare.agreement import Agreement
from controller.fairshare.policy import Policy, Rule
from fairuse_protocol.units import Duration

DAY = 86400.0
NOW = 100 * DAY


def agreement(**changes: Any) -> Agreement:
    given: dict[str, Any] = {
        "id": "a1",
        "tenant": "hog",
        "kind": "exempt",
        "begins_at": NOW - 50 * DAY,
        "ends_at": NOW + 5 * DAY,
        "agreed_with": "Hanne",
        "recorded_by": "otto",
        "recorded_at": NOW - 50 * DAY,
    }
    return Agreement(**(given | changes))


def told(*agreements: Agreement, now: float = NOW) -> list[tuple[str, str]]:
    news = agreement_news(agreements, ahead_seconds=7 * DAY, now=now)
    return [(each.kind, each.about) for each in news]


def test_an_agreements_end_is_told_some_days_ahead_and_when_it_has_come() -> None:
    assert told(agreement(), now=NOW - 2 * DAY - 1) == []
    assert told(agreement(), now=NOW - 2 * DAY) == [("agreement-ending", "a1")]
    assert told(agreement(), now=NOW + 5 * DAY) == [("agreement-ended", "a1")]
    assert told(agreement(), now=NOW + 5 * DAY + STALE_SECONDS + 1) == []


def test_an_end_that_was_near_when_it_was_agreed_is_told_when_it_has_come_only() -> None:
    test = agreement(kind="test", begins_at=NOW, recorded_at=NOW, ends_at=NOW + 3600)
    assert told(test, now=NOW + 60) == []
    assert told(test, now=NOW + 3600) == [("agreement-ended", "a1")]


def test_a_withdrawal_is_an_end() -> None:
    gone = agreement(withdrawn_at=NOW - 60, withdrawn_by="otto", withdrawn_because="unpaid")
    assert told(gone) == [("agreement-ended", "a1")]


@pytest.mark.parametrize(
    ("changes", "carries_on"),
    [
        ({}, True),
        ({"kind": "share", "share": 0.5}, False),
        ({"host": "h2"}, False),
        ({"resource": "cpu"}, False),
        ({"tenant": "other", "ends_at": NOW + 90 * DAY}, False),
        ({"ends_at": NOW + 5 * DAY}, False),
        ({"withdrawn_at": NOW - 30 * DAY, "withdrawn_by": "otto"}, False),
    ],
)
def test_an_agreement_that_is_carried_on_is_no_news(
    changes: dict[str, Any], carries_on: bool
) -> None:
    other = agreement(**({"id": "a2", "ends_at": NOW + 60 * DAY} | changes))
    assert (("agreement-ending", "a1") not in told(agreement(), other)) is carries_on


def version(
    number: int, *, announced: dt.date | None = None, effective: dt.date | None = None
) -> Policy:
    return Policy(
        name="own",
        version=str(number),
        rule=Rule(ratio=float(number)),
        announced=announced,
        effective=effective,
    )


FIRST = version(1)
SECOND = version(2, announced=dt.date(1970, 4, 11), effective=dt.date(1970, 5, 11))
THIRD = version(3, effective=dt.date(1970, 6, 1))
"""NOW is 11 April 1970."""


def test_a_version_is_told_from_its_announced_day_until_it_applies_with_the_one_before() -> None:
    chosen = Selection(default="own", entries=(For(policy="default", tenants=("other",)),))
    known = policy_set(chosen, (FIRST, SECOND, THIRD), now=0.0)
    coming = {day: known.coming_for("hog", "h1", "", day * DAY) for day in (99, 100, 129, 130, 152)}
    assert coming[99] == ((SECOND, THIRD),), "the second is not announced yet"
    assert coming[100] == coming[129] == ((FIRST, SECOND), (SECOND, THIRD))
    assert coming[130] == ((SECOND, THIRD),)
    assert coming[152] == ()
    assert known.coming_for("other", "h1", "", NOW) == (), "another policy is theirs"


def test_what_is_told_is_stored_whole() -> None:
    changed = version(
        2,
        announced=dt.date(1970, 4, 11),
        effective=dt.date(1970, 5, 11),
    )
    (announced,) = policy_changes("hog", [(FIRST, changed)])
    assert announced.key == ("hog", "policy-change", "own 2")
    kept = decode_document(announced.kind, encode_document(announced.document))
    assert kept == PolicyChangeDocument(before=FIRST, after=changed)
    assert isinstance(kept, PolicyChangeDocument)
    assert isinstance(kept.after.rule.window, Duration)
    (news,) = agreement_news([agreement()], ahead_seconds=7 * DAY, now=NOW)
    assert decode_document(news.kind, encode_document(news.document)) == news.document
