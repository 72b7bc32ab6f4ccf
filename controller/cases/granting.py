"""Requests decided: the case's step and the agreement that comes of it, stored together."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases import requests
from controller.cases.desk import Desk, UnknownCase
from controller.cases.model import Case, RequestKind
from controller.cases.requests import Decision
from controller.fairshare.agreement import Agreement
from controller.storage import agreements


async def grant(desk: Desk, case_id: str, kind: RequestKind | None, decision: Decision) -> Case:
    """Grant a waiting request (`kind` None: the only one).

    CaseRefused, UnknownCase or MessageError says why not; nothing is changed then.
    """
    case = await desk.case(case_id)
    if case is None:
        raise UnknownCase(f'case: expected the id of one in /api/v1/cases, found "{case_id}"')
    request = requests.request_to_decide(case, kind)
    terms = requests.agreed_terms(case, request, decision)
    agreement = None if terms is None else desk.agreements.draw_up(terms, by=decision.by)
    granted = await desk.carry_out(
        case_id,
        lambda newest, now: requests.grant(newest, request.kind, decision, agreement, now=now),
        also=lambda connection: _store(connection, agreement),
    )
    await desk.agreements.load()
    return granted


async def refuse(desk: Desk, case_id: str, kind: RequestKind | None, decision: Decision) -> Case:
    """Refuse a waiting request (`kind` None: the only one); errors as those of `grant`."""
    return await desk.carry_out(
        case_id, lambda newest, now: requests.refuse(newest, kind, decision, now=now)
    )


async def _store(connection: AsyncConnection, agreement: Agreement | None) -> bool:
    if agreement is not None:
        await agreements.add(connection, agreement)
    return True
