"""Promise 9: what was decided is decided again from the evidence that was kept with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from controller.cases.model import Case, OrderDocument
from controller.fairshare.evidence import Verdict
from controller.fairshare.policy import KeptRule, kept_rule
from controller.fairshare.rule import decide


def decisions(database: Path) -> list[tuple[Verdict, KeptRule]]:
    """The evidence of every case and every order in a controller's store, with its rule."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        cases = connection.execute("SELECT document FROM cases").fetchall()
        orders = connection.execute("SELECT document FROM orders").fetchall()
    opened = [msgspec.json.decode(document, type=Case) for (document,) in cases]
    ordered = [msgspec.json.decode(document, type=OrderDocument) for (document,) in orders]
    return [
        *((case.verdict, case.rule) for case in opened),
        *((order.evidence, order.rule) for order in ordered),
    ]


def decided_again(verdict: Verdict, rule: KeptRule) -> Verdict:
    """The same decision, made anew from nothing but what was kept."""
    return decide(
        verdict.samples,
        verdict.resource,
        kept_rule(rule),
        now=verdict.decided_at,
        usual_used=verdict.usual_used,
    )
