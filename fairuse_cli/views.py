"""The commands that look: nothing changes by them."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from controller.cases.model import OPEN_STATES, State
from controller.web.gate_messages import GateAnswer
from controller.web.messages import CaseAnswer, CaseList, HostList, TenantList
from fairuse_cli.case_screen import case_screen
from fairuse_cli.client import decode
from fairuse_cli.lookup import with_case
from fairuse_cli.options import (
    AsJson,
    CaseId,
    Limit,
    OnHost,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)
from fairuse_cli.tables import (
    STATE_STYLES,
    cases_table,
    host_notes,
    hosts_table,
    is_plain,
    tenants_table,
)
from fairuse_cli.top import open_cases, show_top


def status(as_json: AsJson = False, url: Url = None, token_file: TokenFile = None) -> None:
    """Whether the controller answers, and how things stand."""
    client = client_for(url, token_file)
    gate = decode(client.get("gate"), GateAnswer)
    counts = {
        state: len(decode(client.get("cases", state=state, limit=1000), CaseList).cases)
        for state in OPEN_STATES
    }
    if as_json:
        summary = {
            "at": gate.at,
            "url": client.url,
            "mode": gate.mode,
            "paused": gate.paused,
            "hosts": gate.hosts,
            "tenants": gate.tenants,
            "open_cases": counts,
            "problems": gate.problems,
        }
        print_json(msgspec.json.encode(summary))
        return
    console = console_for_output()
    console.print(f"{client.url} answers")
    console.print(f"enforcement  {'PAUSED' if gate.paused else f'as configured, mode {gate.mode}'}")
    console.print(f"hosts        {gate.hosts}, with {gate.tenants} tenants")
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    console.print(f"open cases   {states}")
    if held := counts["held"]:
        waits = "1 case waits" if held == 1 else f"{held} cases wait"
        console.print(
            f"HELD         {waits} for a person: fairuse cases --state held",
            style=STATE_STYLES["held"],
        )
    for problem in gate.problems:
        console.print(f"PROBLEM      {problem}", style="bold red")


def hosts(
    limit: Limit = 100, as_json: AsJson = False, url: Url = None, token_file: TokenFile = None
) -> None:
    """The hosts that report, and how busy they are."""
    answer = client_for(url, token_file).get("hosts", limit=limit)
    if as_json:
        print_json(answer)
        return
    console, listed = console_for_output(), decode(answer, HostList)
    if not listed.hosts:
        console.print("No host has reported since the controller started.")
        return
    console.print(hosts_table(listed))
    for note in host_notes(listed):
        console.print(note, style="yellow")


def tenants(
    host: OnHost = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """The tenants and what they use, the heaviest first."""
    client = client_for(url, token_file)
    answer = client.get("tenants", host=host, limit=limit)
    if as_json:
        print_json(answer)
        return
    console, listed = console_for_output(), decode(answer, TenantList)
    if not listed.tenants:
        console.print("No tenant was seen in the hosts' last reports.")
        return
    cases = open_cases(client, host=host)
    plain = is_plain(console)
    console.print(tenants_table(listed.tenants, open_cases=cases, bar_width=0, plain=plain))


def cases(
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    host: OnHost = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """The cases, newest first."""
    client = client_for(url, token_file)
    answer = client.get("cases", state=state, host=host, tenant=tenant, limit=limit)
    if as_json:
        print_json(answer)
        return
    console, listed = console_for_output(), decode(answer, CaseList)
    if not listed.cases:
        console.print("No case.")
        return
    console.print(cases_table(listed, width=console.width))


def case(
    case_id: CaseId, as_json: AsJson = False, url: Url = None, token_file: TokenFile = None
) -> None:
    """One case: evidence, history, notices, limit."""
    client = client_for(url, token_file)
    answer = with_case(client, case_id, lambda found: client.get("cases", found))
    show_case(answer, as_json=as_json)


def top(
    host: OnHost = None,
    once: Annotated[bool, typer.Option("--once", help="One frame, then end.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Who uses most of their fair share, kept up to date until Ctrl-C."""
    client = client_for(url, token_file)
    if as_json:
        print_json(client.get("tenants", host=host))
        return
    show_top(client, console_for_output(), host=host, once=once)


def show_case(answer: bytes, *, as_json: bool) -> None:
    """A case as the API answered it, for a person or as it is."""
    if as_json:
        print_json(answer)
        return
    console = console_for_output()
    screen = case_screen(decode(answer, CaseAnswer), width=console.width, plain=is_plain(console))
    console.print(screen)
