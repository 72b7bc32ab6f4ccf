from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from controller.contact.delivery import Accepted, Refused
from controller.contact.notice import Queued, render
from controller.contact.webhook import InvalidEndpoint, WebhookChannel, read_secrets, signature
from controller.tenants import TenantContact
from tests.contact import samples
from tests.contact.servers import Call, WebhookReceiver, webhook_receiver

KEY = bytes(range(32))


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text("whsec_" + base64.b64encode(KEY).decode() + "\n")
    return str(path)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as running:
        yield running


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    opened = WebhookChannel()
    yield opened
    await opened.close()


def contact(receiver: WebhookReceiver, secret_file: str) -> TenantContact:
    return TenantContact(webhook_url=receiver.url, webhook_secret_file=secret_file)


def notice() -> Any:
    queued = Queued(samples.FIRST_NOTICE, "first-notice", samples.NOW, samples.document())
    return render([queued], TenantContact(name="Anna"), samples.terms(), written_at=samples.NOW)


def is_signed(call: Call, key: bytes) -> bool:
    """As a receiver would check it, written from the specification."""
    signed = b".".join(
        (call.headers["webhook-id"].encode(), call.headers["webhook-timestamp"].encode(), call.body)
    )
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(
        version == "v1" and hmac.compare_digest(value, expected)
        for version, _, value in (
            each.partition(",") for each in call.headers["webhook-signature"].split(" ")
        )
    )


async def test_a_receiver_can_verify_the_signature_and_the_facts(
    receiver: WebhookReceiver, channel: WebhookChannel, secret_file: str
) -> None:
    outcome = await channel.send(notice(), contact(receiver, secret_file), samples.NOW + 5)
    assert outcome == Accepted("webhook", "204 No Content")
    (call,) = receiver.calls
    assert is_signed(call, KEY)
    assert not is_signed(call, bytes(32))
    assert call.headers["webhook-timestamp"] == str(int(samples.NOW + 5))
    body = json.loads(call.body)
    assert body["type"] == "case.first_notice"
    assert body["timestamp"] == "2026-11-22T14:00:00+00:00"
    assert body["data"]["case"] == samples.CASE_ID
    assert body["data"]["used"] == pytest.approx(6.2)
    assert len(call.body) < 20_000


def test_the_signature_is_that_of_a_known_example() -> None:
    # Worked out with OpenSSL: printf 'msg_1.1614265330.{"test": 2432232314}' |
    # openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f -binary | base64
    assert (
        signature(KEY, "msg_1", 1614265330, b'{"test": 2432232314}')
        == "v1,GWvjEzx3AphU7wha3hNZPXJnymF9Fg+ZdvPQqWPOjZ0="
    )


async def test_the_same_notice_keeps_its_id_whenever_it_is_sent(
    receiver: WebhookReceiver, channel: WebhookChannel, secret_file: str
) -> None:
    for now in (samples.NOW, samples.NOW + 600):
        await channel.send(notice(), contact(receiver, secret_file), now)
    first, second = receiver.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert "." not in first.headers["webhook-id"]
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("status", "for_good"),
    [(400, False), (404, False), (410, True), (408, False), (429, False), (500, False)],
)
async def test_other_answers_are_refusals(
    status: int,
    for_good: bool,
    receiver: WebhookReceiver,
    channel: WebhookChannel,
    secret_file: str,
) -> None:
    async def answer() -> web.Response:
        return web.Response(status=status, text="not\nnow")

    receiver.answer = answer
    outcome = await channel.send(notice(), contact(receiver, secret_file), samples.NOW)
    assert isinstance(outcome, Refused)
    assert outcome.for_good is for_good
    assert outcome.reason.startswith(str(status))
    assert outcome.reason.endswith("not now")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_not_followed(
    status: int, receiver: WebhookReceiver, channel: WebhookChannel, secret_file: str
) -> None:
    async def answer() -> web.Response:
        return web.Response(status=status, headers={"Location": receiver.url})

    receiver.answer = answer
    outcome = await channel.send(notice(), contact(receiver, secret_file), samples.NOW)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good
    assert "redirects are not followed" in outcome.reason
    assert len(receiver.calls) == 1


async def test_an_endless_answer_is_read_only_so_far(
    receiver: WebhookReceiver, channel: WebhookChannel, secret_file: str
) -> None:
    async def answer() -> web.Response:
        return web.Response(
            body=gzip.compress(b"a" * 5_000_000), headers={"Content-Encoding": "gzip"}
        )

    receiver.answer = answer
    outcome = await channel.send(notice(), contact(receiver, secret_file), samples.NOW)
    assert isinstance(outcome, Accepted)
    assert len(outcome.answer) <= 300
    assert outcome.answer.isprintable()


async def test_an_endpoint_that_does_not_answer_is_tried_again(
    receiver: WebhookReceiver,
    channel: WebhookChannel,
    secret_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer() -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    receiver.answer = answer
    monkeypatch.setattr("controller.contact.webhook._TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    outcome = await channel.send(notice(), contact(receiver, secret_file), samples.NOW)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good


async def test_an_absent_endpoint_is_tried_again(channel: WebhookChannel, secret_file: str) -> None:
    async with webhook_receiver() as gone:
        pass
    outcome = await channel.send(notice(), contact(gone, secret_file), samples.NOW)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good


@pytest.mark.parametrize(
    "url",
    ["", "http://example.org/hook", "ftp://example.org", "example.org", "https://", "http://["],
)
async def test_an_address_that_is_not_https_is_refused_for_good(
    url: str, channel: WebhookChannel, secret_file: str
) -> None:
    outcome = await channel.send(
        notice(), TenantContact(webhook_url=url, webhook_secret_file=secret_file), samples.NOW
    )
    assert isinstance(outcome, Refused)
    assert outcome.for_good
    assert "webhook_url" in outcome.reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(base64.b64encode(KEY).decode(), id="no-prefix"),
        pytest.param("whsec_!!!", id="not-base64"),
        pytest.param("whsec_" + base64.b64encode(b"short").decode(), id="short"),
    ],
)
async def test_a_secret_that_is_none_is_refused_without_showing_it(
    text: str, tmp_path: Path, receiver: WebhookReceiver, channel: WebhookChannel
) -> None:
    (tmp_path / "bad").write_text(text)
    outcome = await channel.send(notice(), contact(receiver, str(tmp_path / "bad")), samples.NOW)
    assert isinstance(outcome, Refused)
    assert outcome.for_good
    assert not text or text not in outcome.reason
    assert receiver.calls == []


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidEndpoint, match="none"):
        read_secrets(str(tmp_path / "none"))


async def test_while_secrets_change_a_message_is_signed_with_the_old_and_the_new_one(
    receiver: WebhookReceiver, channel: WebhookChannel, tmp_path: Path
) -> None:
    new = bytes(range(32, 64))
    lines = ["whsec_" + base64.b64encode(key).decode() for key in (new, KEY)]
    (tmp_path / "both").write_text("\n".join(lines) + "\n")
    await channel.send(notice(), contact(receiver, str(tmp_path / "both")), samples.NOW)
    (call,) = receiver.calls
    assert is_signed(call, KEY)
    assert is_signed(call, new)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9" * 40, 999_999_999.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
    ],
)
async def test_an_endpoint_may_say_when_to_come_again(
    header: str,
    seconds: float,
    receiver: WebhookReceiver,
    channel: WebhookChannel,
    secret_file: str,
) -> None:
    async def answer() -> web.Response:
        return web.Response(status=429, headers={"Retry-After": header})

    receiver.answer = answer
    outcome = await channel.send(notice(), contact(receiver, secret_file), samples.NOW)
    assert isinstance(outcome, Refused)
    assert outcome.again_after_seconds == seconds
