"""`fairuse audit`: whether the histories of all cases are as they were written."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.storage.chain import Finding
from controller.web.messages import AuditAnswer, AuditFault
from fairuse_cli.client import decode
from fairuse_cli.failures import REFUSED, CommandFailed
from fairuse_cli.figures import clock
from fairuse_cli.options import (
    AsJson,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)

audit_app = typer.Typer(
    name="audit",
    help="Whether the histories of all cases are as they were written.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_MEANING: dict[Finding, str] = {
    "line-changed": "it does not say what was written",
    "link-broken": "a line before it was taken out, added, moved or replaced",
    "erased-unrecorded": "it is blank, and its case does not tell that it was erased",
    "erased-changed": "what is left of the lines that it tells of was changed since",
    "link-not-found": "the noted link is not there: lines were cut off the end, or all was redone",
}


@audit_app.callback()
def _only_commands() -> None:
    """Keep `verify` a word of its own while it is the only command."""


@audit_app.command()
def verify(
    link: Annotated[
        str, typer.Option("--link", help="A link that was noted before, and has to be there.")
    ] = "",
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Read all histories. Exit status 1 if one line was changed, taken out, added or moved."""
    answer = client_for(url, token_file).get("audit", link=link or None)
    found = decode(answer, AuditAnswer)
    if as_json:
        print_json(answer)
    elif not found.faults:
        console = console_for_output()
        console.print(f"{found.lines - found.erased} lines of history are as they were written.")
        if found.erased:
            console.print(f"{found.erased} more are erased, as their cases tell; none is missing.")
        console.print("Note this link where nobody of this controller can change it:")
        console.print(f"  {found.link}", soft_wrap=True)
    if found.faults:
        told = "\n".join(f"  {_told(fault, found.at)}" for fault in found.faults)
        raise CommandFailed(REFUSED, f"the histories are not as they were written:\n{told}")


def _told(fault: AuditFault, now: float) -> str:
    if fault.line is None or fault.written_at is None:
        return _MEANING[fault.finding]
    place = f"line {fault.line}, of case {fault.case}, {clock(fault.written_at, now)}"
    return f"{place}: {_MEANING[fault.finding]}"
