"""The commands about agreements: what a customer may do beyond the rule, and until when."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from controller.fairshare.agreement import Agreement, AgreementKind
from controller.web.messages import AgreementAnswer, AgreementList
from fairuse_cli import figures
from fairuse_cli.client import decode
from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.moments import moment, share
from fairuse_cli.options import (
    AsJson,
    Limit,
    TokenFile,
    Url,
    client_for,
    console_for_output,
    print_json,
)
from fairuse_cli.tables import agreements_table
from fairuse_protocol.messages import Resource

_WHEN = 'A time in UTC such as "2026-11-01 14:00", or a length of time from now such as "3d".'

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Whom it is agreed with.")]
Until = Annotated[str, typer.Option("--until", help=_WHEN)]
From = Annotated[str | None, typer.Option("--from", help=f"{_WHEN} Now, if not given.")]
With = Annotated[str, typer.Option("--with", help="Who at the customer agreed.")]
OnResource = Annotated[Resource | None, typer.Option("--resource", help="For this resource only.")]
OnHost = Annotated[str | None, typer.Option("--host", help="On this host only.")]
Note = Annotated[str, typer.Option("--note", help="What else there is to know, such as why.")]


def agreements(
    tenant: Annotated[str | None, typer.Option(help="Only with this tenant.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Agreements and consents, the last recorded first."""
    answer = client_for(url, token_file).get("agreements", tenant=tenant, limit=limit)
    if as_json:
        print_json(answer)
        return
    console, listed = console_for_output(), decode(answer, AgreementList)
    if not listed.agreements:
        console.print("No agreement.")
        return
    console.print(agreements_table(listed.agreements, listed.at))


def agree(
    tenant: Tenant,
    until: Until,
    agreed_with: With,
    of_host: Annotated[
        str | None, typer.Option("--share", help='May use so much of the host: "50%".')
    ] = None,
    exempt: Annotated[
        bool, typer.Option("--exempt", help="May use whatever it likes: no case.")
    ] = False,
    resource: OnResource = None,
    host: OnHost = None,
    begins: From = None,
    note: Note = "",
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Record a special agreement: a larger share, or none counted."""
    if (of_host is None) != exempt:
        raise CommandFailed(
            USAGE, f"expected --share or --exempt, found {'both' if exempt else 'neither'}"
        )
    terms = _terms(tenant, "exempt" if exempt else "share", until, agreed_with, begins, note)
    terms |= {"resource": resource or "", "host": host or ""}
    if of_host is not None:
        terms["share"] = share("--share", of_host)
    _record(terms, as_json=as_json, url=url, token_file=token_file)


def consent(
    tenant: Tenant,
    until: Until,
    agreed_with: With,
    resource: OnResource = None,
    host: OnHost = None,
    begins: From = None,
    note: Note = "",
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Record the consent to a load test: no case while it lasts."""
    terms = _terms(tenant, "test", until, agreed_with, begins, note)
    terms |= {"resource": resource or "", "host": host or ""}
    _record(terms, as_json=as_json, url=url, token_file=token_file)


def withdraw(
    agreement_id: Annotated[str, typer.Argument(metavar="ID", help="See: fairuse agreements.")],
    reason: Annotated[str, typer.Option(help="Why; it stays on record.")],
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """End an agreement or a consent now."""
    answer = client_for(url, token_file).post(
        "agreements", agreement_id, "withdraw", body={"reason": reason}
    )
    _show(answer, as_json=as_json)


def _terms(
    tenant: str,
    kind: AgreementKind,
    until: str,
    agreed_with: str,
    begins: str | None,
    note: str,
) -> dict[str, object]:
    now = time.time()
    return {
        "tenant": tenant,
        "kind": kind,
        "agreed_with": agreed_with,
        "begins_at": None if begins is None else moment("--from", begins, now=now),
        "ends_at": moment("--until", until, now=now),
        "note": note,
    }


def _record(terms: dict[str, object], *, as_json: bool, url: Url, token_file: TokenFile) -> None:
    _show(client_for(url, token_file).post("agreements", body=terms), as_json=as_json)


def _show(answer: bytes, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    found = decode(answer, AgreementAnswer)
    console_for_output().print(_told(found.agreement, found.at))


def _told(agreement: Agreement, now: float) -> str:
    """One agreement in a sentence, as the person who made it should read it back."""
    head = f"Agreement {agreement.id} with {agreement.tenant}"
    if agreement.withdrawn_at is not None:
        return f"{head} is withdrawn."
    return (
        f"{head}: {figures.agreed(agreement)}, from {figures.clock(agreement.begins_at, now)} "
        f"until {figures.clock(agreement.ends_at, now)}."
    )
