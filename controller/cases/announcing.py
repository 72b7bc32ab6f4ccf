"""What tenants are to be told that is about no case. Pure.

A version of a policy is told from its `announced` day on until it applies; an agreement's end some
days ahead, and when it has come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from controller.cases.model import AnnouncementKind
from controller.fairshare.agreement import Agreement
from controller.fairshare.policy import Policy
from controller.storage.announcements import Key
from fairuse_protocol.messages import Message

STALE_SECONDS = 7 * 86400.0
"""What ended longer ago is no news: a controller that was away, or only observed, is silent."""


class PolicyChangeDocument(Message):
    """A version of a policy, and the one before it, as they were when it was announced."""

    before: Policy
    after: Policy


class AgreementDocument(Message):
    """An agreement as it was when its end was to be told."""

    agreement: Agreement


Document = PolicyChangeDocument | AgreementDocument


@dataclass(frozen=True)
class Announcement:
    """One letter to one tenant."""

    tenant: str
    kind: AnnouncementKind
    about: str
    """The policy with its version, or the agreement's id."""
    document: Document

    @property
    def key(self) -> Key:
        """What makes it one of its kind."""
        return self.tenant, self.kind, self.about


def policy_changes(tenant: str, coming: Iterable[tuple[Policy, Policy]]) -> list[Announcement]:
    """What a tenant is told of versions that are coming, each with the one before it."""
    documents = [PolicyChangeDocument(before=before, after=after) for before, after in coming]
    return [Announcement(tenant, "policy-change", each.after.key, each) for each in documents]


def agreement_news(
    agreements: Iterable[Agreement], *, ahead_seconds: float, now: float
) -> list[Announcement]:
    """What is to be told of agreements that end within `ahead_seconds`, or have ended of late.

    An agreement that another one carries on is no news, nor is a coming end that was as near when
    it was agreed.
    """
    every = tuple(agreements)
    found = []
    for agreement in every:
        kind = _news(agreement, ahead_seconds, now)
        if kind is not None and not any(_carries_on(each, agreement, now) for each in every):
            document = AgreementDocument(agreement=agreement)
            found.append(Announcement(agreement.tenant, kind, agreement.id, document))
    return found


def encode_document(document: Document) -> str:
    """As it is stored."""
    return msgspec.json.encode(document, enc_hook=float).decode()


def decode_document(kind: AnnouncementKind, text: str) -> Document:
    """Out of the store."""
    if kind == "policy-change":
        return msgspec.json.decode(text, type=PolicyChangeDocument, dec_hook=_plain)
    return msgspec.json.decode(text, type=AgreementDocument)


def _news(
    agreement: Agreement, ahead_seconds: float, now: float
) -> Literal["agreement-ending", "agreement-ended"] | None:
    ended_at = _until(agreement)
    if ended_at <= now:
        return "agreement-ended" if now - ended_at <= STALE_SECONDS else None
    told_from = ended_at - ahead_seconds
    agreed_at = max(agreement.begins_at, agreement.recorded_at)
    return "agreement-ending" if agreed_at < told_from <= now else None


def _carries_on(other: Agreement, agreement: Agreement, now: float) -> bool:
    """Whether `other` allows at least as much when `agreement` has ended."""
    until = max(_until(agreement), now)
    same = other.kind == agreement.kind and (other.share or 0.0) >= (agreement.share or 0.0)
    return (
        other.id != agreement.id
        and other.tenant == agreement.tenant
        and other.host in ("", agreement.host)
        and other.resource in ("", agreement.resource)
        and (same or other.kind == "exempt")
        and max(other.begins_at, other.recorded_at) <= until < _until(other)
    )


def _until(agreement: Agreement) -> float:
    if agreement.withdrawn_at is None:
        return agreement.ends_at
    return min(agreement.ends_at, agreement.withdrawn_at)


def _plain(kind: type, value: Any) -> Any:
    return kind(value)
