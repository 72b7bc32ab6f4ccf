"""The commands that decide what customers ask for in their cases."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from controller.cases.model import CustomerRequest, RequestKind
from controller.web.messages import CaseAnswer
from fairuse_cli import figures
from fairuse_cli.client import Client, decode
from fairuse_cli.lookup import with_case
from fairuse_cli.moments import moment, share
from fairuse_cli.options import (
    AsJson,
    CaseId,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)

Told = Annotated[str, typer.Option("--reason", help="Why; the customer reads it.")]
Which = Annotated[
    RequestKind | None,
    typer.Option("--request", help="Which, when more than one is waiting."),
]


def grant(
    case_id: CaseId,
    reason: Told,
    request: Which = None,
    of_host: Annotated[
        str | None, typer.Option("--share", help='An agreement to so much of the host: "50%".')
    ] = None,
    exempt: Annotated[
        bool, typer.Option("--exempt", help="An agreement to whatever is used: no case.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Until then, and not as asked; a time in UTC, or 3d."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Grant what a customer asks for: time, a special agreement, a load test."""
    body: dict[str, object] = {
        "reason": reason,
        "request": request,
        "share": None if of_host is None else share("--share", of_host),
        "exempt": exempt,
        "ends_at": None if until is None else moment("--until", until, now=time.time()),
    }
    _decide(client_for(url, token_file), "grant", case_id, body, as_json=as_json)


def refuse(
    case_id: CaseId,
    reason: Told,
    request: Which = None,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Refuse what a customer asks for. The case goes on as it would have."""
    body: dict[str, object] = {"reason": reason, "request": request}
    _decide(client_for(url, token_file), "refuse", case_id, body, as_json=as_json)


def _decide(
    client: Client, name: str, case_id: str, body: dict[str, object], *, as_json: bool
) -> None:
    answer = with_case(client, case_id, lambda found: client.post("cases", found, name, body=body))
    if as_json:
        print_json(answer)
        return
    taken = decode(answer, CaseAnswer)
    last = max(reversed(taken.case.requests), key=lambda each: each.decided_at or 0.0)
    console_for_output().print(
        f"Case {taken.case.id} is {taken.case.state}. {asked(last, taken.at)}"
    )


def asked(request: CustomerRequest, now: float) -> str:
    """A request in a line: what, for when, who asked, and what was said to it."""
    begins = "" if request.begins_at is None else f"from {figures.clock(request.begins_at, now)} "
    by = f", {request.asked_by}" if request.asked_by else ""
    text = f"{request.kind} {begins}until {figures.clock(request.until, now)}{by}: {request.state}"
    if request.decided_by:
        text += f" by {request.decided_by}: {request.answer}"
    if request.agreement:
        text += f" (agreement {request.agreement})"
    return text
