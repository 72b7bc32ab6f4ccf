from __future__ import annotations

from pathlib import Path

import pytest

from controller.contact.directory import ContactDirectory
from controller.contact.sources.asking import AnswerUnusable, SourceAway
from controller.contact.sources.lookup import Lookup
from controller.lookup_settings import Directory
from controller.tenants import Tenant, TenantContact
from tests.contact.outbox import (
    NOW,
    RETRY_FOR,
    Outbox,
    accepts,
    outbox,
)


async def test_a_tenant_that_nobody_listed_puts_the_case_on_hold(tmp_path: Path) -> None:
    async with outbox(tmp_path, "") as box:
        mail = accepts("email")
        await box.dispatcher(mail).send_due(NOW)
        case = await box.case()
    assert case.state == "held"
    assert 'nobody to write to: no directory lists "web-042"' in case.held_because
    assert mail.ids == []


async def test_a_tenant_that_is_listed_without_a_contact_puts_the_case_on_hold(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, '[tenants.web-042]\nplan = "small"\n') as box:
        await box.dispatcher(accepts("email")).send_due(NOW)
        assert "listed without a contact" in (await box.case()).held_because


class Billing:
    """A place that is away until it is not."""

    name = "billing"

    def __init__(self) -> None:
        self.answer: Tenant | Exception | None = SourceAway("it burns")

    async def ask(self, tenant: str) -> Tenant | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        pass


def looking_up(box: Outbox, billing: Billing) -> None:
    box.directory = ContactDirectory(None, lookup=Lookup(billing, Directory(), lambda: box.now))


async def test_while_the_directory_is_away_the_notice_waits_and_then_goes(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        billing, mail = Billing(), accepts("email")
        looking_up(box, billing)
        dispatcher = box.dispatcher(mail)
        await dispatcher.send_due(box.now)
        row = await box.row()
        assert row.answer == "directory: it burns"
        assert row.next_try_at is not None
        assert NOW + 5 <= row.next_try_at <= NOW + 15
        assert (await box.case()).state == "watching"
        billing.answer = Tenant(contacts=(TenantContact(email=("anna@example.org",)),))
        box.now = row.next_try_at
        await dispatcher.send_due(box.now)
        assert (await box.case()).state == "notified"


@pytest.mark.parametrize(
    "answer", [SourceAway("it burns"), AnswerUnusable("email: no")], ids=["away", "unusable"]
)
async def test_a_directory_that_never_tells_leaves_the_case_to_a_person(
    tmp_path: Path, answer: Exception
) -> None:
    async with outbox(tmp_path) as box:
        billing, mail = Billing(), accepts("email")
        billing.answer = answer
        looking_up(box, billing)
        dispatcher = box.dispatcher(mail)
        while (row := await box.row()).next_try_at is not None:
            box.now = row.next_try_at
            await dispatcher.send_due(box.now)
        assert box.now == NOW + RETRY_FOR
        case = await box.case()
    assert case.state == "held"
    assert case.limit is None
    assert f"directory: {answer}" in case.held_because
    assert mail.ids == []


async def test_who_is_unknown_where_tenants_are_looked_up_is_held_at_once(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box:
        billing = Billing()
        billing.answer = None
        looking_up(box, billing)
        await box.dispatcher(accepts("email")).send_due(NOW)
        case = await box.case()
    assert case.state == "held"
    assert 'no directory lists "web-042"' in case.held_because
