"""`fairuse export`: what others keep of it, such as whoever accounts for service levels."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.web.export_messages import LimitedAnswer, TenantExport
from fairuse_cli.client import decode
from fairuse_cli.export_tables import intervals_csv, intervals_table, totals_csv, totals_table
from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.moments import span_end, span_start
from fairuse_cli.options import (
    AsJson,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)

export_app = typer.Typer(
    name="export",
    help="What others keep: limited time for accounting, a customer's own data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_WHEN = 'Such as "2026-11", "2026-11-01" or "2026-11-01T12:00+01:00"; UTC if nothing else is said'


@export_app.command()
def limited(
    begins: Annotated[str, typer.Option("--from", help=f"{_WHEN}.")],
    ends: Annotated[
        str, typer.Option("--to", help=f"{_WHEN}. A month or a day is in it to its end.")
    ],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    totals: Annotated[
        bool, typer.Option("--totals", help="A line a tenant; what overlaps counts once.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """When tenants were limited or suspended, as far as their hosts have confirmed it."""
    if as_csv and as_json:
        raise CommandFailed(USAGE, "expected --csv or --json, found both")
    start, end = span_start("--from", begins), span_end("--to", ends)
    answer = client_for(url, token_file).get(
        "exports",
        "limited",
        **{"from": start.isoformat(), "to": end.isoformat(), "tenant": tenant},
    )
    if as_json:
        print_json(answer)
        return
    found = decode(answer, LimitedAnswer)
    if as_csv:
        print(totals_csv(found.totals) if totals else intervals_csv(found.intervals), end="")
        return
    console = console_for_output()
    console.print(
        f"Limited time from {found.begins:%Y-%m-%d %H:%M} to {found.ends:%Y-%m-%d %H:%M} UTC"
    )
    if not found.intervals:
        console.print("Nobody was limited.")
        return
    console.print(totals_table(found.totals) if totals else intervals_table(found.intervals))


@export_app.command()
def tenant(
    name: Annotated[str, typer.Argument(metavar="TENANT", help="Whose data.")],
    as_json: Annotated[bool, typer.Option("--json", help="All of it, to hand over.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Everything that is kept of one tenant; without --json, how much that is."""
    answer = client_for(url, token_file).get("exports", "tenants", name)
    if as_json:
        print_json(answer)
        return
    found = decode(answer, TenantExport)
    console = console_for_output()
    for what in ("cases", "agreements", "announcements", "habits", "limited"):
        console.print(f"{what:<14}{len(getattr(found, what))}")
