"""`fairuse tenant`: whom the controller writes to about whom, from where it knows, and imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from controller.contact.sources.entry import SourceName
from controller.tenants import Tenant, TenantContact
from controller.web.tenant_messages import (
    DirectoryAnswer,
    ListedTenantAnswer,
    PushAnswer,
    SourceAnswer,
)
from fairuse_cli.client import decode
from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.figures import length
from fairuse_cli.options import (
    AsJson,
    Limit,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)
from fairuse_cli.tenant_csv import COLUMNS, CsvRefused, read_csv

tenant_app = typer.Typer(
    name="tenant",
    help="Whom to write to about which tenant. Needs a token with the role directory or operator.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SHOWN = 20
_Name = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's name.")]


@tenant_app.command()
def show(
    name: _Name, as_json: AsJson = False, url: Url = None, token_file: TokenFile = None
) -> None:
    """Whom the controller would write to about a tenant, and who says so."""
    answer = client_for(url, token_file).get("directory", name)
    if as_json:
        print_json(answer)
        return
    _show(decode(answer, ListedTenantAnswer))


@tenant_app.command("list")
def list_(
    source: Annotated[
        SourceName | None, typer.Option(help="Only those that this source's word counts for.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Only names after this one.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """The tenants that are known by name, and from where."""
    answer = client_for(url, token_file).get("directory", source=source, after=after, limit=limit)
    if as_json:
        print_json(answer)
        return
    console, listed = console_for_output(), decode(answer, DirectoryAnswer)
    if listed.tenants:
        console.print(_table(listed))
    console.print(f"{len(listed.tenants)} shown, {listed.total} known.")
    if listed.problem:
        console.print(listed.problem, style="yellow")


@tenant_app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help=f"One line a contact; columns: {', '.join(COLUMNS)}."
        ),
    ],
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="Forget pushed tenants that it lacks.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would change.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Push all tenants of a CSV file, or none if a line of it is wrong."""
    try:
        tenants = read_csv(file)
    except CsvRefused as error:
        raise CommandFailed(USAGE, f"nothing was changed:\n{error}") from error
    wanted = {
        "tenants": {name: _brief(entry) for name, entry in tenants.items()},
        "remove_missing": remove_missing,
        "dry_run": dry_run,
    }
    answer = client_for(url, token_file).post("directory", body=wanted)
    if as_json:
        print_json(answer)
        return
    _show_push(decode(answer, PushAnswer))


@tenant_app.command()
def remove(
    name: _Name, as_json: AsJson = False, url: Url = None, token_file: TokenFile = None
) -> None:
    """Forget what was pushed or imported of a tenant."""
    answer = client_for(url, token_file).delete("directory", name)
    if as_json:
        print_json(answer)
        return
    left = decode(answer, ListedTenantAnswer).listed.sources
    what_now = f"what {_SOURCES[left[0].source]} says counts now" if left else "nobody lists it now"
    console_for_output().print(f"What was pushed of {name} is gone; {what_now}.")


_SOURCES: dict[SourceName, str] = {
    "tenants_file": "tenants_file",
    "pushed": "a push",
    "looked-up": "the look-up",
}


def _show(answer: ListedTenantAnswer) -> None:
    console = console_for_output()
    for index, each in enumerate(answer.listed.sources):
        counts = "counts" if index == 0 else "is overruled"
        same = index and each.entry == answer.listed.sources[0].entry
        console.print(f"{_said(each, answer.at)} {'says the same' if same else counts}:")
        for line in _lines(each.entry):
            console.print(f"  {line}", style="" if index == 0 else "dim")
    if answer.problem:
        console.print(f"could not be looked up: {answer.problem}", style="yellow")


def _said(source: SourceAnswer, now: float) -> str:
    told = _SOURCES[source.source]
    if source.by:
        told += f" by {source.by}"
    if source.at is not None:
        told += f", {length(now - source.at)} ago"
    return told + (", which is old," if source.is_stale else "")


def _lines(entry: Tenant) -> list[str]:
    about = _pairs(entry, ("name", "plan", "language", "time_zone"))
    contacts = [f"contact: {_contact(each)}" for each in entry.contacts]
    return [about or "nothing about the tenant itself", *(contacts or ["no contact"])]


def _contact(contact: TenantContact) -> str:
    """Everything that it says but the defaults, in the order of the struct."""
    return _pairs(contact, TenantContact.__struct_fields__)


def _pairs(said: Tenant | TenantContact, keys: tuple[str, ...]) -> str:
    return ", ".join(
        f"{key} {' '.join(value) if isinstance(value, tuple) else value}"
        for key, value in _brief(said).items()
        if key in keys
    )


def _brief(said: Tenant | TenantContact) -> dict[str, Any]:
    """Everything but the defaults: a file of many tenants stays a small request."""
    brief = {
        field.name: value
        for field in msgspec.structs.fields(said)
        if (value := getattr(said, field.name)) != field.default
    }
    if isinstance(said, Tenant):
        brief["contacts"] = [_brief(each) for each in said.contacts]
    return brief


def _table(listed: DirectoryAnswer) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for heading in ("tenant", "from", "name", "plan", "writes to"):
        table.add_column(heading, overflow="fold")
    for each in listed.tenants:
        first = each.sources[0]
        others = [other.source for other in each.sources[1:] if other.entry != first.entry]
        told = first.source + (f" (not {', '.join(others)})" if others else "")
        addresses = [address for contact in first.entry.contacts for address in contact.email]
        table.add_row(
            each.tenant, told, first.entry.name, first.entry.plan, " ".join(addresses) or "nobody"
        )
    return table


def _show_push(done: PushAnswer) -> None:
    console = console_for_output()
    for word, names in (
        ("added", done.added),
        ("changed", done.changed),
        ("removed", done.removed),
        ("listed otherwise in tenants_file, which counts", done.overruled),
    ):
        if names:
            shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            console.print(f"{len(names)} {word}: {shown}")
    console.print(f"{done.unchanged} as before.")
    if done.dry_run:
        console.print("Nothing was changed: this was a dry run.")
