"""Letters that are about no case: a policy that changes, an agreement that has ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from controller.contact import wording
from controller.contact.notice import (
    LetterKind,
    NoticeTerms,
    RenderedNotice,
    common_values,
    zone_of,
)
from controller.fairshare.agreement import Agreement
from controller.fairshare.changes import changes
from controller.fairshare.policy import Policy
from controller.fairshare.sentence import duration, percent
from controller.language.catalogue import Language, languages, message
from controller.tenants import TenantContact
from fairuse_protocol.messages import RESOURCES

_MET: dict[str, tuple[str, Callable[[Policy], float]]] = {
    "severity.critical.deadline": (
        message("Time to answer before a limit, when most others wait long"),
        lambda policy: policy.severity.critical.deadline,
    ),
    "severity.high.deadline": (
        message("Time to answer before a limit, when many others wait"),
        lambda policy: policy.severity.high.deadline,
    ),
    "severity.low.deadline": (
        message("Time to answer before a limit, when few others wait"),
        lambda policy: policy.severity.low.deadline,
    ),
    "times.more_time": (
        message("More time, when you ask for it"),
        lambda policy: policy.times.more_time,
    ),
    "limit.lease": (message("Longest limit"), lambda policy: policy.limit.lease),
    "limit.max_per_day": (
        message("Most that a server is limited in a day"),
        lambda policy: policy.limit.max_per_day,
    ),
}
"""What a customer meets of a policy besides its words, by its key. The rest is how we measure."""
_MEASURING = ("rule", "severity", "times", "limit")


@dataclass(frozen=True)
class PolicyChange:
    """A version of a policy that a tenant is told of before it applies to them."""

    tenant: str
    before: Policy
    after: Policy
    """With the day from which it applies in `effective`."""


def render_policy_change(
    notice_id: str,
    queued_at: float,
    change: PolicyChange,
    contact: TenantContact,
    terms: NoticeTerms,
) -> RenderedNotice:
    """The announcement of a policy's next version, in the contact's language.

    ValueError when the version does not say from when it applies.
    """
    before, after = change.before, change.after
    if after.effective is None:
        raise ValueError(f'policy "{after.key}": expected the day from which it applies, none set')
    language = languages()[contact.language or after.language]
    begins = _day_begins(after.effective)
    stays_until = begins + after.former_version_for if after.former_version_for else None
    values: dict[str, Any] = {
        "tenant": change.tenant,
        "before": before.key,
        "after": after.key,
        "begins": wording.day(begins, language),
        "begins_in": wording.from_now(begins, queued_at, language),
        "stays_until": stays_until and wording.day(stays_until, language),
        "changed": tuple(_differences(before, after, language)),
        "details": any(
            each.key not in _MET and each.key.startswith(_MEASURING)
            for each in changes(before, after)
        ),
        "zone": "UTC",
        "clause": after.clause if after.clause != before.clause else "",
    }
    data = {
        "tenant": change.tenant,
        "policy": after.name,
        "version": after.version,
        "former_version": before.version,
        "applies_from": begins,
        "former_version_until": stays_until,
        "clause": after.clause,
    }
    return _rendered(
        "policy-change", notice_id, queued_at, values, data, after, contact, terms, language
    )


def render_agreement_end(
    notice_id: str,
    queued_at: float,
    agreement: Agreement,
    policy: Policy,
    contact: TenantContact,
    terms: NoticeTerms,
) -> RenderedNotice:
    """What a customer is told when an agreement ends soon, has ended by itself or was withdrawn.

    `policy` is the one that applies to them now.
    """
    language, zone = languages()[contact.language or policy.language], zone_of(contact)
    ended_at = agreement.ends_at
    if agreement.withdrawn_at is not None:
        ended_at = min(ended_at, agreement.withdrawn_at)
    resource = next((each for each in RESOURCES if each == agreement.resource), None)
    values = {
        "tenant": agreement.tenant,
        "agreement": agreement,
        "share": agreement.share and percent(agreement.share, language),
        "resource": resource and wording.resource_name(resource, language),
        "ended": wording.end(ended_at, language, zone),
        "agreement_figures": (
            (
                language.gettext("In force"),
                wording.span_to_end(
                    max(agreement.begins_at, agreement.recorded_at), ended_at, language, zone
                ),
            ),
            (language.gettext("Agreed with"), agreement.agreed_with),
        ),
        "clause": policy.clause,
    }
    data = {
        "tenant": agreement.tenant,
        "agreement": agreement.id,
        "kind": agreement.kind,
        "host": agreement.host,
        "resource": agreement.resource,
        "share": agreement.share,
        "ended_at": ended_at,
        "withdrawn": agreement.withdrawn_at is not None,
    }
    kind: LetterKind = "agreement-ending" if queued_at < ended_at else "agreement-ended"
    return _rendered(kind, notice_id, queued_at, values, data, policy, contact, terms, language)


def _rendered(
    kind: LetterKind,
    notice_id: str,
    queued_at: float,
    values: dict[str, Any],
    data: dict[str, Any],
    policy: Policy,
    contact: TenantContact,
    terms: NoticeTerms,
    language: Language,
) -> RenderedNotice:
    common = common_values(contact, terms, language, zone_of(contact))
    written = terms.templates.write(kind, policy.name, {**common, "links": [], **values}, language)
    return RenderedNotice(
        id=notice_id,
        case_id="",
        kind=kind,
        first_notice_id="",
        subject=written.subject,
        text=written.text,
        html=written.html,
        pictures=(),
        queued_at=queued_at,
        data={"notice": notice_id, **data},
    )


def _differences(
    before: Policy, after: Policy, language: Language
) -> Iterator[tuple[str, str, str]]:
    """What a customer meets that differs: its name, how it was, how it will be."""
    for name, length in _MET.values():
        if length(before) != length(after):
            was, will_be = (duration(length(policy), language) for policy in (before, after))
            yield language.gettext(name), was, will_be


def _day_begins(day: dt.date) -> float:
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
