"""`fairuse top`: who uses most of their fair share, kept up to date."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from controller.web.gate_messages import GateAnswer
from controller.web.messages import CaseLine, CaseList, TenantList
from fairuse_cli import figures
from fairuse_cli.client import Client, decode
from fairuse_cli.failures import UNREACHABLE, CommandFailed
from fairuse_cli.tables import is_plain, tenants_table

REFRESH_SECONDS = 2.0
_HEADER_LINES = 5
_PIPED_ROWS = 100
_BAR_WIDTH = 16
_WIDE_ENOUGH_FOR_BARS = 100


def show_top(client: Client, console: Console, *, host: str | None, once: bool) -> None:
    """One frame, or one after the other until Ctrl-C when this is a terminal."""
    if once or not console.is_terminal:
        console.print(frame(client, console, host=host))
        return
    with Live(frame(client, console, host=host), console=console, screen=True) as live:
        _refresh(live.update, client, console, host)


def _refresh(
    show: Callable[[RenderableType], None], client: Client, console: Console, host: str | None
) -> None:
    """Ask again until Ctrl-C; a controller that is away for a while ends nothing."""
    while True:
        time.sleep(REFRESH_SECONDS)
        try:
            show(frame(client, console, host=host))
        except CommandFailed as failure:
            if failure.status != UNREACHABLE:
                raise
            show(Text(f"{failure}\nTrying again; Ctrl-C ends.", "bold red"))


def frame(client: Client, console: Console, *, host: str | None) -> RenderableType:
    """What is to be seen now."""
    rows = console.height - _HEADER_LINES if console.is_terminal else _PIPED_ROWS
    tenants = decode(client.get("tenants", host=host, limit=max(1, rows)), TenantList)
    gate = decode(client.get("gate"), GateAnswer)
    cases = open_cases(client, host=host)
    table = tenants_table(
        tenants.tenants,
        open_cases=cases,
        bar_width=_BAR_WIDTH if console.width >= _WIDE_ENOUGH_FOR_BARS else 0,
        plain=is_plain(console),
    )
    return Group(_header(tenants.at, gate, list(cases.values())), "", table)


def open_cases(client: Client, *, host: str | None) -> dict[tuple[str, str], CaseLine]:
    """The newest open case of every host and tenant."""
    listed = decode(client.get("cases", host=host, limit=1000), CaseList).cases
    return {(case.host, case.tenant): case for case in reversed(listed) if case.state != "closed"}


def _header(at: float, gate: GateAnswer, cases: list[CaseLine]) -> Text:
    limited = sum(case.state == "limited" for case in cases)
    text = Text.assemble(
        (f"fairuse {figures.clock(at, at)}", "bold"),
        f"  {gate.hosts} hosts, {gate.tenants} tenants; "
        f"{len(cases)} with an open case, {limited} limited",
    )
    if gate.paused:
        text.append("  ALL ENFORCEMENT PAUSED", "bold reverse")
    return text
