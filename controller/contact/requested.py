"""What a customer asked for or disputed, and what became of it, in their words. Pure."""

from __future__ import annotations

from datetime import tzinfo

from controller.cases.model import Case, CustomerRequest, RequestKind
from controller.contact import wording
from controller.contact.answering import TITLES
from controller.language.catalogue import Language, message

REFUSED: dict[RequestKind, str] = {
    "more-time": message("We could not give you more time."),
    "agreement": message("We could not agree to what you asked for."),
    "load-test": message("We did not consent to your load test."),
}
"""What a refusal says, in letters and in the page's history."""


def what_was_asked(request: CustomerRequest, language: Language, zone: tzinfo) -> str:
    """In a few words: "More time, until 23 November 2026, 14:05 CET"."""
    until = wording.end(request.until, language, zone)
    match request.kind:
        case "more-time":
            return language.gettext("More time, until %(until)s", until=until)
        case "agreement":
            return language.gettext("A special agreement, until %(until)s", until=until)
        case "load-test":
            return language.gettext(
                "A load test, from %(start)s until %(until)s",
                start=_start(request, language, zone),
                until=until,
            )


def _start(request: CustomerRequest, language: Language, zone: tzinfo) -> str:
    at = request.asked_at if request.begins_at is None else request.begins_at
    return wording.moment(at, language, zone)


def decision_words(case: Case, language: Language, zone: tzinfo) -> dict[str, str | bool] | None:
    """The newest decision on what was asked or disputed; None: nothing has been decided."""
    request, dispute = case.last_decided_request, case.dispute_decision
    wrong = TITLES["dispute"]
    if dispute is not None and (request is None or dispute.decided_at > (request.decided_at or 0)):
        return {
            "disputed": True,
            "granted": False,
            "limit_may_come": True,
            "asked": language.gettext(wrong),
            "outcome": language.gettext("The case goes on."),
            "reply": dispute.answer,
        }
    if request is None:
        return None
    granted = request.state == "granted"
    outcome = (
        _granted(request, case, language, zone)
        if granted
        else language.gettext(REFUSED[request.kind])
    )
    return {
        "disputed": False,
        "granted": granted,
        "limit_may_come": not granted or request.kind == "more-time",
        "asked": what_was_asked(request, language, zone),
        "outcome": outcome,
        "reply": request.answer,
    }


def _granted(request: CustomerRequest, case: Case, language: Language, zone: tzinfo) -> str:
    until = request.until if request.granted_until is None else request.granted_until
    end = wording.end(until, language, zone)
    resource = wording.resource_name(case.resource, language)
    match request.kind:
        case "more-time":
            # The deadline may already have been later than what was granted.
            deadline = wording.moment(max(until, case.deadline or 0.0), language, zone)
            return language.gettext(
                "Nothing is limited automatically before %(end)s.", end=deadline
            )
        case "load-test":
            return language.gettext(
                "You may test from %(start)s until %(end)s, and it makes no case.",
                start=_start(request, language, zone),
                end=end,
            )
        case "agreement" if request.granted_share is not None:
            return language.gettext(
                "Until %(end)s your server may use up to %(share)s of the machine's %(resource)s.",
                end=end,
                share=wording.percent(request.granted_share, language),
                resource=resource,
            )
        case "agreement":
            return language.gettext(
                "Until %(end)s your server may use as much %(resource)s as it needs.",
                end=end,
                resource=resource,
            )
