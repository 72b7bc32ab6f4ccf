"""`fairuse announcements`: what tenants were told of policies and agreements."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from controller.web.messages import AnnouncementLine, AnnouncementList
from fairuse_cli import figures
from fairuse_cli.client import decode
from fairuse_cli.options import (
    AsJson,
    Limit,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)


def announcements(
    tenant: Annotated[str | None, typer.Option(help="Only to this tenant.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """What tenants were told of policies and agreements, the last first."""
    answer = client_for(url, token_file).get("announcements", tenant=tenant, limit=limit)
    if as_json:
        print_json(answer)
        return
    console, listed = console_for_output(), decode(answer, AnnouncementList)
    if not listed.announcements:
        console.print("Nobody was told anything.")
        return
    table = Table(
        box=None, padding=(0, 1), pad_edge=False, collapse_padding=True, header_style="bold"
    )
    for name in ("tenant", "told of", "about", "queued", ""):
        table.add_column(name, overflow="fold")
    for each in listed.announcements:
        queued = figures.clock(each.queued_at, listed.at)
        table.add_row(each.tenant, each.kind, each.about, queued, _outcome(each, listed.at))
    console.print(table)


def _outcome(each: AnnouncementLine, now: float) -> Text:
    if each.accepted_at is not None:
        return Text(f"accepted {figures.clock(each.accepted_at, now)} by {each.channel}")
    if each.failed_at is not None:
        return Text(f"failed: {each.answer}", "red")
    said = f" ({each.answer})" if each.answer else ""
    return Text(f"on its way{said}", "yellow")
