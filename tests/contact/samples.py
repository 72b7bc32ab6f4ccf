"""Evidence, cases and notices to write about."""

from __future__ import annotations

import math
from typing import Any

from controller.cases.model import Case, NoticeDocument, StandingLimit
from controller.contact.notice import NoticeTerms
from controller.fairshare.evidence import Sample, Verdict
from controller.fairshare.policy import Policy
from fairuse_protocol.messages import Resource

NOW = 1795356000.0
"""22 November 2026, 14:00 UTC."""
CASE_ID = "c7f3a91d02e"
FIRST_NOTICE = f"{CASE_ID}-2-first-notice"
CAPACITY: dict[Resource, float] = {"cpu": 8.0, "disk": 1.0, "net-in": 125e6, "net-out": 125e6}


def verdict(
    resource: Resource = "cpu", *, intervals: int = 120, seconds: float = 10.0, **changes: Any
) -> Verdict:
    """Quiet for a fifth of the window, then three quarters of the machine."""
    capacity = CAPACITY[resource]
    samples = tuple(
        Sample(
            ended_at=NOW - (intervals - 1 - index) * seconds,
            seconds=seconds,
            used=capacity * (0.1 if index < intervals / 5 else 0.78 + 0.05 * math.sin(index)),
            fair_share=capacity * 0.1875,
            capacity=capacity,
            host_waiting=0.3,
            utilisation=0.97,
            neighbours=14,
            neighbours_harmed=0 if index < intervals / 5 else 11,
            neighbours_waiting=(
                0.0 if index < intervals / 5 else 0.23 + 0.07 * math.sin(index / 4)
            ),
            cause_share=0.9,
        )
        for index in range(intervals)
    )
    fields: dict[str, Any] = {
        "outcome": "disproportionate",
        "resource": resource,
        "decided_at": NOW,
        "window_seconds": intervals * seconds,
        "measured_seconds": intervals * seconds,
        "counted_seconds": intervals * seconds * 0.8,
        "average_used": capacity * 0.775,
        "average_fair_share": capacity * 0.1875,
        "capacity": capacity,
        "ratio": 4.13,
        "neighbours": 14,
        "neighbours_harmed": 11,
        "neighbours_waiting": 0.23,
        "samples": samples,
    }
    return Verdict(**{**fields, **changes})


def case(resource: Resource = "cpu", **changes: Any) -> Case:
    """A case whose first notice has just been queued."""
    fields: dict[str, Any] = {
        "id": CASE_ID,
        "host": "node-17",
        "tenant": "web-042",
        "resource": resource,
        "state": "watching",
        "severity": "high",
        "opened_at": NOW,
        "version": 2,
        "verdict": verdict(resource),
        "rule": {},
        "last_disproportionate_at": NOW,
        "notice": FIRST_NOTICE,
    }
    return Case(**{**fields, **changes})


def limit(resource: Resource = "cpu", **changes: Any) -> StandingLimit:
    """A limit to twice the fair share, ordered four hours after the case was opened."""
    capacity = CAPACITY[resource]
    fields: dict[str, Any] = {
        "order": f"{CASE_ID}-4-limit",
        "allowance": capacity * 0.3875,
        "fair_share": capacity * 0.1875,
        "unlimited_use": capacity * 0.775,
        "ordered_at": NOW + 4 * 3600,
        "changed_at": NOW + 4 * 3600,
        "lease_until": NOW + 4 * 3600 + 900,
        "confirmed_at": NOW + 4 * 3600 + 10,
    }
    return StandingLimit(**{**fields, **changes})


def document(mode: Any = "enforce", **changes: Any) -> NoticeDocument:
    """What the desk keeps with a queued notice."""
    about = case(**changes)
    return NoticeDocument(case=about, limit=about.limit, mode=mode)


def terms(**changes: Any) -> NoticeTerms:
    """A provider that cites its policy."""
    fields: dict[str, Any] = {
        "provider_name": "Northwind Hosting",
        "policy_for": lambda case: Policy(
            name="Example AUP", clause="Do not take a disproportionate share of shared resources."
        ),
        "takes_replies": True,
        "link_for": lambda case_id, at, language: (
            f"https://fairuse.example.net/c/{case_id}.{at:.0f}.sig"
        ),
    }
    return NoticeTerms(**{**fields, **changes})
