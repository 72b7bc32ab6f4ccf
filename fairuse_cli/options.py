"""The options and arguments that several commands share, and what they lead to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from fairuse_cli.access import find_access
from fairuse_cli.client import Client

_PIPED_WIDTH = 120

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, as the API gives it.")]
Url = Annotated[
    str | None, typer.Option(help="The controller. Also FAIRUSE_URL, or url in cli.toml.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="A file with the API token. Also FAIRUSE_TOKEN, FAIRUSE_TOKEN_FILE, or "
        "token_file in cli.toml."
    ),
]
CaseId = Annotated[str, typer.Argument(metavar="ID", help="A case's id, or how it begins.")]
Why = Annotated[str, typer.Option("--reason", help="Why; the case's history keeps it.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
OnHost = Annotated[str | None, typer.Option("--host", help="Only on this host.")]


def client_for(url: str | None, token_file: Path | None) -> Client:
    """The controller that the options, the environment or the settings files name."""
    access = find_access(
        url, token_file, environment=os.environ, directory=Path.cwd(), home=Path.home()
    )
    return Client(access)


def console_for_output() -> Console:
    """Standard output; colour only on a terminal, and not with NO_COLOR."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(highlight=False, markup=False, width=width)


def print_json(document: bytes) -> None:
    """One JSON document on standard output, and nothing else."""
    print(msgspec.json.format(document, indent=2).decode())
