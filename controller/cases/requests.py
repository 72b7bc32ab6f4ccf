"""What a customer may ask for that a person grants or refuses, and what comes of it. Pure.

Of each kind one is open at a time. A request stops no clock by itself, but asking for an
agreement or a test says that the notice was read, and counts as acknowledging it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from controller.cases import answers
from controller.cases.model import (
    Case,
    CustomerRequest,
    RequestKind,
    RequestState,
    Step,
    TimelineEntry,
)
from controller.cases.steps import CaseRefused, step, with_notice
from controller.fairshare.agreement import Agreement, AgreementTerms
from controller.fairshare.policy import Policy
from fairuse_protocol.messages import MessageError

_ABOUT_USE: tuple[RequestKind, ...] = ("agreement", "load-test")


@dataclass(frozen=True)
class Wanted:
    """What the customer asks for. Times are seconds since the epoch."""

    ends_at: float
    begins_at: float | None = None
    asked_by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Decision:
    """What an operator says to a request. `reason` is told to the customer."""

    by: str
    reason: str
    ends_at: float | None = None
    """None: as asked."""
    share: float | None = None
    """Of the host: for an agreement that is not an exemption."""
    exempt: bool = False


def possible_requests(case: Case) -> tuple[RequestKind, ...]:
    """What the customer's page offers now."""
    match case.state:
        case "watching" | "notified":
            offered: tuple[RequestKind, ...] = ("more-time", *_ABOUT_USE)
        case "limited":
            offered = _ABOUT_USE
        case "held" | "closed":
            offered = ()
    waiting = {each.kind for each in case.waiting_requests}
    return tuple(kind for kind in offered if kind not in waiting)


def ask_for_time(case: Case, seconds: float, note: str, policy: Policy, *, now: float) -> Step:
    """What the policy grants at once is granted, once a case; on the rest a person decides.

    CaseRefused has a sentence for the customer.
    """
    _require_offered(case, "more-time")
    at_once = 0.0 if "more-time" in case.answers else float(policy.times.more_time)
    until = max(case.deadline or now, now) + seconds
    if seconds <= at_once:
        return answers.answer(case, "more-time", note, policy, now=now)
    wanted = Wanted(ends_at=until, note=note)
    if not at_once:
        return _asked(case, "more-time", wanted, f"no limit before {_utc(until)}", now)
    granted = answers.answer(case, "more-time", "", policy, now=now)
    rest = _asked(granted.case, "more-time", wanted, f"no limit before {_utc(until)}", now)
    return _joined(granted, rest, case)


def ask_for_agreement(case: Case, wanted: Wanted, policy: Policy, *, now: float) -> Step:
    """A special agreement about the case's use; CaseRefused has a sentence for the customer."""
    _require_offered(case, "agreement")
    what = f"a special agreement until {_utc(wanted.ends_at)}"
    return _acknowledged(case, _asked(case, "agreement", wanted, what, now), policy, now)


def ask_for_test(case: Case, wanted: Wanted, policy: Policy, *, now: float) -> Step:
    """Consent to a load test; CaseRefused has a sentence for the customer."""
    _require_offered(case, "load-test")
    begins = _utc(wanted.begins_at if wanted.begins_at is not None else now)
    what = f"consent to a load test from {begins} to {_utc(wanted.ends_at)}"
    return _acknowledged(case, _asked(case, "load-test", wanted, what, now), policy, now)


def request_to_decide(case: Case, kind: RequestKind | None) -> CustomerRequest:
    """The waiting request that an operator means; CaseRefused when that is not one."""
    waiting = case.waiting_requests
    meant = [each for each in waiting if kind in (None, each.kind)]
    if len(meant) == 1:
        return meant[0]
    found = ", ".join(f'"{each.kind}"' for each in waiting) or "none"
    expected = f'a waiting request "{kind}"' if kind else "one, or which is meant (--request)"
    raise CaseRefused(f"request: expected {expected}, found {found}")


def agreed_terms(case: Case, request: CustomerRequest, decision: Decision) -> AgreementTerms | None:
    """What granting the request agrees to; None for time. MessageError names what is missing.

    An agreement is about the case's resource on its host, a test about all that it may load there.
    """
    is_agreement = request.kind == "agreement"
    chosen = (decision.share is not None) + decision.exempt
    if chosen != is_agreement:
        found = ("neither", "one", "both")[chosen]
        wanted = "share or exempt" if is_agreement else "neither share nor exempt"
        raise MessageError(f'share: expected {wanted} for "{request.kind}", found {found}')
    if request.kind == "more-time":
        return None
    return AgreementTerms(
        tenant=case.tenant,
        kind="test" if not is_agreement else "exempt" if decision.exempt else "share",
        begins_at=request.begins_at,
        ends_at=request.until if decision.ends_at is None else decision.ends_at,
        agreed_with=request.asked_by,
        host=case.host,
        resource=case.resource if is_agreement else "",
        share=decision.share,
        note=f"asked for in case {case.id}",
    )


def grant(
    case: Case, kind: RequestKind, decision: Decision, agreement: Agreement | None, *, now: float
) -> Step:
    """The operator grants it, and the customer is told; more time moves the deadline away, never
    nearer."""
    request = request_to_decide(case, kind)
    entry = TimelineEntry(
        at=now,
        event=f"granted-{kind}",
        actor=decision.by,
        text=decision.reason if agreement is None else f"{decision.reason} ({agreement.id})",
    )
    decided = _decided(case, request, "granted", decision, agreement.id if agreement else "", now)
    if kind != "more-time":
        return with_notice(step(case, entry, requests=decided), "decision")
    if case.state not in ("watching", "notified"):
        raise CaseRefused(f"a case that is {case.state} has no deadline to move")
    until = request.until if decision.ends_at is None else decision.ends_at
    if until <= now:
        raise CaseRefused(f"the time to grant is over since {_utc(until)}: name a later one")
    deadline = max(case.deadline or 0.0, until)
    return with_notice(step(case, entry, requests=decided, deadline=deadline), "decision")


def refuse(case: Case, kind: RequestKind | None, decision: Decision, *, now: float) -> Step:
    """The operator refuses it, and the customer is told; all goes on as if they had not asked."""
    request = request_to_decide(case, kind)
    entry = TimelineEntry(
        at=now, event=f"refused-{request.kind}", actor=decision.by, text=decision.reason
    )
    refused = step(case, entry, requests=_decided(case, request, "refused", decision, "", now))
    return with_notice(refused, "decision")


def _require_offered(case: Case, kind: RequestKind) -> None:
    if kind in possible_requests(case):
        return
    if any(each.kind == kind for each in case.waiting_requests):
        raise CaseRefused("You have asked for this already; one of our staff will decide.")
    raise CaseRefused(answers.why_not_now(case))


def _asked(case: Case, kind: RequestKind, wanted: Wanted, what: str, now: float) -> Step:
    request = CustomerRequest(
        kind=kind,
        asked_at=now,
        until=wanted.ends_at,
        begins_at=wanted.begins_at,
        asked_by=wanted.asked_by,
        note=wanted.note,
    )
    by = f" ({wanted.asked_by})" if wanted.asked_by else ""
    text = answers.with_note(f"The customer{by} asks for {what}.", wanted.note)
    entry = TimelineEntry(at=now, event=f"asked-{kind}", actor="customer", text=text)
    return step(case, entry, requests=(*case.requests, request))


def _acknowledged(case: Case, asked: Step, policy: Policy, now: float) -> Step:
    """Whoever asks has read the notice."""
    if "acknowledge" not in answers.possible_answers(case):
        return asked
    return _joined(asked, answers.answer(asked.case, "acknowledge", "", policy, now=now), case)


def _joined(first: Step, then: Step, case: Case) -> Step:
    """Both as one step of the case."""
    together = msgspec.structs.replace(then.case, version=case.version + 1)
    return Step(case=together, entries=(*first.entries, *then.entries))


def _decided(
    case: Case,
    request: CustomerRequest,
    state: RequestState,
    decision: Decision,
    agreement: str,
    now: float,
) -> tuple[CustomerRequest, ...]:
    decided = msgspec.structs.replace(
        request,
        state=state,
        decided_at=now,
        decided_by=decision.by,
        answer=decision.reason,
        agreement=agreement,
        granted_until=decision.ends_at,
        granted_share=decision.share,
    )
    return tuple(decided if each is request else each for each in case.requests)


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
