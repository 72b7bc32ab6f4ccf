"""`fairuse forget`: everything about a tenant is erased."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.web.messages import ForgottenAnswer
from fairuse_cli.client import decode
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
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Erase a tenant's closed cases, agreements and habits for good."""
    answer = client_for(url, token_file).post("tenants", tenant, "forget", body={"reason": reason})
    if as_json:
        print_json(answer)
        return
    found = decode(answer, ForgottenAnswer)
    console = console_for_output()
    console.print(f"Erased {found.cases} cases and {found.others} other records of {found.tenant}.")
    console.print("Histories still verify: fairuse audit verify. tenants.toml is yours to change.")
