"""What a line of `fairuse cases` says that comes next, and of what was heard."""

from __future__ import annotations

from typing import Any

import pytest

from controller.web.messages import case_line
from fairuse_cli.tables import what_next
from tests.contact import samples

NOW = samples.NOW + 60


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"notice": ""}, "being watched"),
        ({}, "notice waits to be sent"),
        ({"state": "notified", "deadline": NOW + 7200}, "deadline in 2h"),
        (
            {"state": "notified", "deadline": NOW + 7200, "replied_at": NOW - 120},
            "wrote 2m ago; deadline in 2h",
        ),
        ({"state": "held", "replied_at": NOW - 120}, "wrote 2m ago; an operator decides"),
        ({"state": "closed", "closing": "resolved", "replied_at": NOW - 120}, "resolved"),
    ],
)
def test_a_line_says_what_comes_next_and_whether_the_customer_wrote(
    changes: dict[str, Any], said: str
) -> None:
    assert what_next(case_line(samples.case(**changes), "a sentence"), NOW) == said
