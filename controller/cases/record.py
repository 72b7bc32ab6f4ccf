"""A step, written down: the case, its history, its notices and orders in one transaction."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.cases.model import (
    PAST_ANSWERING,
    Case,
    EarlierAllowance,
    EndLimit,
    NoticeDocument,
    NoticeKind,
    OrderDocument,
    OrderLimit,
    QueueNotice,
    StandingLimit,
    Step,
)
from controller.settings import Mode
from controller.storage import cases, notices, orders, suspensions, timeline
from controller.storage.suspensions import SuspensionRow

_OVERTAKEN: tuple[NoticeKind, ...] = ("first-notice", "reminder")
"""What may have nothing true to say any more then; the outbox decides."""

_case_decoder = msgspec.json.Decoder(Case)
_order_decoder = msgspec.json.Decoder(OrderDocument)


class StaleCase(Exception):
    """Another step of this case was stored first; nothing of this one was."""


def read_case(document: str) -> Case:
    """A case out of the store."""
    return _case_decoder.decode(document)


async def write_step(
    connection: AsyncConnection, done: Step, previous: Case | None, *, mode: Mode, now: float
) -> None:
    """Store the step that leads from `previous` (None: a new case). StaleCase undoes it."""
    case = done.case
    due_at = case.limit.lease_until if case.limit else None
    if previous is None:
        await cases.insert(
            connection,
            id=case.id,
            host=case.host,
            tenant=case.tenant,
            resource=case.resource,
            state=case.state,
            opened_at=case.opened_at,
            closed_at=case.closed_at,
            due_at=due_at,
            version=case.version,
            document=_text(case),
        )
    elif not await cases.update(
        connection,
        id=case.id,
        expected_version=previous.version,
        state=case.state,
        closed_at=case.closed_at,
        due_at=due_at,
        version=case.version,
        document=_text(case),
    ):
        raise StaleCase(f"case {case.id}: version {previous.version} is not the newest")
    await timeline.add(
        connection,
        case.id,
        [(entry.at, entry.event, entry.actor, entry.text) for entry in done.entries],
    )
    if case.state in PAST_ANSWERING:
        await notices.look_again(connection, case.id, _OVERTAKEN, now=now)
    await _carry_out(connection, done, previous, mode=mode, now=now)
    await _confirm_limit(connection, case.limit, previous)
    await _follow_suspension(connection, case, previous, now)


async def _confirm_limit(
    connection: AsyncConnection, limit: StandingLimit | None, previous: Case | None
) -> None:
    before = previous.limit if previous else None
    if limit is None or limit.confirmed_at is None:
        return
    if before is None or before.confirmed_at is None:
        await orders.confirm(connection, limit.order, limit.confirmed_at)


async def _follow_suspension(
    connection: AsyncConnection, case: Case, previous: Case | None, now: float
) -> None:
    """A suspension stands in its case only, so what becomes of it is recorded with the step."""
    before, after = previous.suspension if previous else None, case.suspension
    if before is not None and (after is None or after.order != before.order):
        await suspensions.end(connection, before.order, now)
    if after is None or after == before:
        return
    if before is None or before.order != after.order:
        await suspensions.add(
            connection,
            SuspensionRow(
                id=after.order,
                case_id=case.id,
                host=case.host,
                tenant=case.tenant,
                ordered_by=after.ordered_by,
                reason=after.reason,
                ordered_at=after.ordered_at,
                lease_until=after.lease_until,
                confirmed_at=after.confirmed_at,
                ended_at=None,
            ),
        )
    elif after.confirmed_at is not None:
        await suspensions.confirm(connection, after.order, after.confirmed_at)


async def _carry_out(
    connection: AsyncConnection, done: Step, previous: Case | None, *, mode: Mode, now: float
) -> None:
    case = done.case
    for action in done.actions:
        match action:
            case QueueNotice():
                limit = case.limit or (previous.limit if previous else None)
                await notices.queue(
                    connection,
                    id=action.id,
                    case_id=case.id,
                    kind=action.kind,
                    queued_at=now,
                    document=_text(NoticeDocument(case=case, limit=limit, mode=mode)),
                )
            case OrderLimit():
                await _store_order(connection, case, action, previous, now)
            case EndLimit():
                await orders.end(connection, action.order, now)


async def _store_order(
    connection: AsyncConnection,
    case: Case,
    order: OrderLimit,
    previous: Case | None,
    now: float,
) -> None:
    document = OrderDocument(
        allowance=order.allowance,
        fair_share=order.fair_share,
        evidence=order.evidence,
        rule=order.rule,
    )
    if previous is not None and previous.limit is not None and previous.limit.order == order.order:
        await _change_order(connection, order.order, document, now)
        return
    await orders.issue(
        connection,
        id=order.order,
        case_id=case.id,
        host=case.host,
        tenant=case.tenant,
        resource=case.resource,
        issued_at=now,
        lease_until=order.lease_until,
        notice_id=order.notice,
        ordered_by=order.ordered_by,
        reason=order.reason,
        document=_text(document),
    )


async def _change_order(
    connection: AsyncConnection, order: str, document: OrderDocument, now: float
) -> None:
    """What it allowed until now stays on record, for accounting."""
    stored = await orders.document(connection, order)
    if stored is not None:
        before = _order_decoder.decode(stored)
        earlier = (*before.earlier, EarlierAllowance(allowance=before.allowance, until=now))
        document = msgspec.structs.replace(document, earlier=earlier)
    await orders.change(connection, order, _text(document))


def _text(document: object) -> str:
    return msgspec.json.encode(document).decode()
