"""The commands that a person decides with. Each needs a token with the role operator."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.web.messages import CaseAnswer, PauseAnswer
from fairuse_cli.client import Client, decode
from fairuse_cli.lookup import with_case
from fairuse_cli.options import (
    AsJson,
    CaseId,
    TokenFile,
    Url,
    Why,
    client_for,
    console_for_output,
    print_json,
)
from fairuse_protocol.units import Duration


def approve(
    case_id: CaseId,
    reason: Why,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Order a limit now, in your name."""
    _step(client_for(url, token_file), "approve", case_id, reason, as_json=as_json)


def dismiss(
    case_id: CaseId,
    reason: Why,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Close a case, and open no other about the same for a while."""
    _step(client_for(url, token_file), "dismiss", case_id, reason, as_json=as_json)


def hold(
    case_id: CaseId,
    reason: Why,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Let nothing happen to a case until an operator decides."""
    _step(client_for(url, token_file), "hold", case_id, reason, as_json=as_json)


def release(
    case_id: CaseId,
    reason: Why,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Let a held case go on by itself: the customer is written to, or has time to answer anew."""
    _step(client_for(url, token_file), "release", case_id, reason, as_json=as_json)


def lift(
    case_id: CaseId,
    reason: Why,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """End a case's limit now."""
    _step(client_for(url, token_file), "lift", case_id, reason, as_json=as_json)


def suspend(
    case_id: CaseId,
    reason: Why,
    lasting: Annotated[str, typer.Option("--for", help="How long at most: 90s, 5m; up to 10m.")],
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Freeze everything of a case's tenant for a short while, in your name."""
    try:
        seconds = float(Duration.parse(lasting))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    client = client_for(url, token_file)
    _step(client, "suspend", case_id, reason, as_json=as_json, seconds=seconds)


def thaw(
    case_id: CaseId,
    reason: Why,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """End a suspension now."""
    _step(client_for(url, token_file), "thaw", case_id, reason, as_json=as_json)


def pause(
    reason: Annotated[str, typer.Option(help="Why; the controller's log keeps it.")],
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Stop all enforcement, and lift every limit on every host."""
    _switch(client_for(url, token_file), "pause", reason, as_json=as_json)


def resume(
    reason: Annotated[
        str, typer.Option(help="Why; the controller's log keeps it.")
    ] = "resumed from the command line",
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Let limits start again. None that was lifted comes back by itself."""
    _switch(client_for(url, token_file), "resume", reason, as_json=as_json)


def _step(
    client: Client, name: str, case_id: str, reason: str, *, as_json: bool, **more: float
) -> None:
    body = {"reason": reason, **more}
    answer = with_case(client, case_id, lambda found: client.post("cases", found, name, body=body))
    if as_json:
        print_json(answer)
        return
    taken = decode(answer, CaseAnswer)
    latest = f" {taken.timeline[-1].text}" if taken.timeline else ""
    console_for_output().print(f"Case {taken.case.id} is {taken.case.state}.{latest}")


def _switch(client: Client, name: str, reason: str, *, as_json: bool) -> None:
    answer = client.post(name, body={"reason": reason})
    if as_json:
        print_json(answer)
        return
    paused = decode(answer, PauseAnswer).paused
    console_for_output().print(
        "All enforcement is paused: no limit stands or starts."
        if paused
        else "Enforcement goes on as configured."
    )
