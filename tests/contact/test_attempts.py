from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cases.model import StandingLimit
from controller.contact.attempts import (
    GiveUp,
    RetryAt,
    after_refusals,
    overtaken,
    retry_delay_seconds,
)
from controller.contact.delivery import Refused
from controller.contact.letters import Letter
from controller.contact.notice import Queued
from tests.contact import samples
from tests.contact.outbox import (
    NOW,
    RETRY_FOR,
    SETTINGS,
)


@pytest.mark.parametrize(
    ("now_standing", "still_true"),
    [
        pytest.param(samples.limit(), True, id="it-stands"),
        pytest.param(samples.limit(allowance=2.0), True, id="it-moved"),
        pytest.param(samples.limit(order="another"), False, id="another-stands"),
        pytest.param(None, False, id="it-ended"),
    ],
)
def test_a_limit_is_announced_only_while_it_stands(
    now_standing: StandingLimit | None, still_true: bool
) -> None:
    about = Queued("n1", "limit-started", NOW, samples.document(limit=samples.limit()))
    reason = overtaken(about, samples.case(limit=now_standing), NOW)
    assert (reason == "") is still_true


@pytest.mark.parametrize(
    ("state", "still_true"),
    [
        ("watching", True),
        ("notified", True),
        ("held", False),
        ("limited", False),
        ("closed", False),
    ],
)
def test_a_first_notice_is_sent_only_where_its_answers_can_be_given(
    state: Any, still_true: bool
) -> None:
    about = Queued("n1", "first-notice", NOW, samples.document())
    assert (overtaken(about, samples.case(state=state), NOW) == "") is still_true


@given(tries=st.integers(1, 10_000), letter=st.text(max_size=20))
def test_waits_grow_and_stay_bounded(tries: int, letter: str) -> None:
    assert 10 <= retry_delay_seconds(tries, letter) <= retry_delay_seconds(tries + 1, letter)
    assert retry_delay_seconds(tries, letter) <= 1800 * 1.1


@given(
    tries=st.integers(0, 50),
    waited=st.floats(0, 10 * RETRY_FOR),
    refusals=st.lists(st.tuples(st.booleans(), st.floats(0, 1e6)), min_size=1, max_size=3),
)
def test_a_letter_is_retried_in_time_or_given_up(
    tries: int, waited: float, refusals: list[tuple[bool, float]]
) -> None:
    now = NOW + waited
    letter = Letter("n1", (), tries, sending_since=NOW)
    outcome = after_refusals(
        [Refused("email", "no", for_good, asked) for for_good, asked in refusals],
        letter,
        SETTINGS,
        now,
    )
    if all(for_good for for_good, _ in refusals) or now >= NOW + RETRY_FOR:
        assert isinstance(outcome, GiveUp)
    else:
        assert isinstance(outcome, RetryAt)
        assert now < outcome.at <= NOW + RETRY_FOR
        if not any(asked for _, asked in refusals) and waited < SETTINGS.next_contact_after:
            assert outcome.at <= NOW + SETTINGS.next_contact_after
