"""Cases named by the beginning of their id."""

from __future__ import annotations

from collections.abc import Callable

from controller.web.messages import CaseList
from fairuse_cli.client import Client, NoSuchThing, decode
from fairuse_cli.failures import REFUSED, USAGE, CommandFailed

_SEARCHED = 1000
_SHOWN = 5


def with_case(client: Client, typed: str, ask: Callable[[str], bytes]) -> bytes:
    """`ask` for the case with the id `typed`, or else for the only one that begins so."""
    if not typed:
        raise CommandFailed(USAGE, "ID: expected a case's id or how it begins, found nothing")
    try:
        return ask(typed)
    except NoSuchThing:
        return ask(_only_match(client, typed))


def _only_match(client: Client, typed: str) -> str:
    listed = decode(client.get("cases", limit=_SEARCHED), CaseList).cases
    matches = [case.id for case in listed if case.id.startswith(typed)]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise CommandFailed(
            REFUSED, f'no case has the id "{typed}" or one that begins so; see: fairuse cases'
        )
    shown = ", ".join(matches[:_SHOWN]) + (", ..." if len(matches) > _SHOWN else "")
    raise CommandFailed(USAGE, f'{len(matches)} cases begin with "{typed}": {shown}; type more')
