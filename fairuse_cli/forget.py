"""`fairuse forget`: everything about a tenant is erased."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.web.messages import AgreementList, ForgottenAnswer
from fairuse_cli import figures
from fairuse_cli.client import Client, decode
from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.options import (
    AsJson,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)


def forget(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Whose; all of it, for good.")],
    reason: Annotated[str, typer.Option(help="Why; it stays on record, so name nobody.")],
    with_agreements: Annotated[
        bool,
        typer.Option(
            "--with-agreements", help="Also agreements that are in force now or still to begin."
        ),
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Erase a tenant's closed cases, agreements and habits for good.

    Agreements that are in force or still to begin are listed first, and erased only when that is
    said.
    """
    client = client_for(url, token_file)
    standing = _standing_agreements(client, tenant)
    if standing and not with_agreements:
        raise CommandFailed(
            USAGE,
            "\n  ".join([f"{tenant} has agreements that would be erased:", *standing])
            + "\nnothing was erased: withdraw them first, or say --with-agreements",
        )
    answer = client.post("tenants", tenant, "forget", body={"reason": reason})
    if as_json:
        print_json(answer)
        return
    found = decode(answer, ForgottenAnswer)
    console = console_for_output()
    for agreement in standing:
        console.print(f"Erased agreement {agreement}")
    cases = "1 case" if found.cases == 1 else f"{found.cases} cases"
    others = "1 other record" if found.others == 1 else f"{found.others} other records"
    console.print(f"Erased {cases} and {others} of {found.tenant}.")
    console.print("Histories still verify: fairuse audit verify. tenants.toml is yours to change.")


def _standing_agreements(client: Client, tenant: str) -> list[str]:
    """Those that are in force or still to begin, a line each."""
    answer = decode(client.get("agreements", tenant=tenant, limit=1000), AgreementList)
    return [
        f"{each.id}: {figures.agreed(each)}, until {figures.clock(each.ends_at, answer.at)}, "
        f"with {each.agreed_with}"
        for each in answer.agreements
        if each.state(answer.at) in ("in-force", "to-come")
    ]
