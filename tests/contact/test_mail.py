from __future__ import annotations

import io
import ssl
from email.headerregistry import AddressHeader
from pathlib import Path
from typing import Any

import pytest
import trustme
from PIL import Image

from controller.contact.delivery import Accepted, Refused
from controller.contact.mail import InvalidAddress, MailChannel, compose
from controller.contact.notice import Queued, RenderedNotice, render
from controller.settings import Smtp
from controller.tenants import TenantContact
from tests.contact import samples
from tests.contact.servers import MailServer, mail_server

CONTACT = TenantContact(name="Anna", email=("anna@example.org",))
SENDER = "Northwind Hosting <fairuse@northwind.example>"


def first_notice(**changes: Any) -> RenderedNotice:
    queued = Queued(samples.FIRST_NOTICE, "first-notice", samples.NOW, samples.document(**changes))
    return render([queued], CONTACT, samples.terms(), written_at=samples.NOW)


def limit_ended() -> RenderedNotice:
    document = samples.document(state="closed", closing="relieved", closed_at=samples.NOW)
    queued = Queued(f"{samples.CASE_ID}-6-limit-ended", "limit-ended", samples.NOW, document)
    return render([queued], CONTACT, samples.terms(), written_at=samples.NOW)


def channel(server: MailServer, tls: ssl.SSLContext | None = None, **changes: Any) -> MailChannel:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": SENDER,
    }
    return MailChannel(Smtp(**{**fields, **changes}), tls)


async def test_a_notice_arrives_whole_and_the_servers_words_are_kept() -> None:
    async with mail_server() as server:
        outcome = await channel(server).send(first_notice(), CONTACT, samples.NOW)
    assert outcome == Accepted(
        "email", f"127.0.0.1:{server.port}: 250 queued as 4711", sent_to=("anna@example.org",)
    )
    (mail,) = server.mails
    assert server.recipients == [["anna@example.org"]]
    assert server.senders == ["fairuse@northwind.example"]
    assert mail["Message-ID"] == f"<{samples.FIRST_NOTICE}@northwind.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.timestamp() == samples.NOW
    assert mail["List-Id"] == "Fair use notices <fairuse.northwind.example>"


async def test_a_mail_has_text_and_html_and_its_picture_inside() -> None:
    async with mail_server() as server:
        await channel(server).send(first_notice(), CONTACT, samples.NOW)
    (mail,) = server.mails
    assert mail.get_content_type() == "multipart/alternative"
    text, related = mail.iter_parts()
    html, picture = related.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert "WHAT WE SAW" in text.get_content()
    assert 'src="cid:chart-1"' in html.get_content()
    assert picture["Content-ID"] == "<chart-1>"
    assert picture.get_content_disposition() == "inline"
    image = Image.open(io.BytesIO(picture.get_content()))
    assert image.format == "PNG"
    assert image.width == 3 * 360


def test_a_mail_is_seven_bits_wide_with_short_lines() -> None:
    notice = first_notice(tenant="café-Ünïcode")
    raw = compose(notice, sender=SENDER, recipients=CONTACT.email, now=samples.NOW).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_all_mails_of_a_case_are_one_thread() -> None:
    first, last = (
        compose(notice, sender=SENDER, recipients=CONTACT.email, now=samples.NOW)
        for notice in (first_notice(), limit_ended())
    )
    root = f"<case-{samples.CASE_ID}@northwind.example>"
    assert first["References"] == root
    assert first["In-Reply-To"] is None
    assert last["In-Reply-To"] == first["Message-ID"]
    assert last["References"].split() == [root, first["Message-ID"]]


def test_the_same_notice_always_has_the_same_message_id() -> None:
    ids = {
        compose(first_notice(), sender=SENDER, recipients=CONTACT.email, now=now)["Message-ID"]
        for now in (samples.NOW, samples.NOW + 3600)
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("web\r\nBcc: everyone@example.org", id="crlf"),
        pytest.param("web\nBcc: everyone@example.org", id="lf"),
        pytest.param("web\u2028Bcc: everyone@example.org", id="unicode-line-separator"),
        pytest.param("web\x00\x1b[31m", id="control-characters"),
    ],
)
def test_a_tenants_name_cannot_add_a_header(name: str) -> None:
    mail = compose(
        first_notice(tenant=name), sender=SENDER, recipients=CONTACT.email, now=samples.NOW
    )
    head = mail.as_bytes().partition(b"\r\n\r\n")[0]
    assert b"\r\nBcc" not in head
    assert mail["Bcc"] is None
    assert isinstance(mail["To"], AddressHeader)
    assert [each.addr_spec for each in mail["To"].addresses] == ["anna@example.org"]


@pytest.mark.parametrize(
    "address",
    ["", "anna", "@example.org", "anna@", "anna@example.org\r\nBcc: x@y", "ánna@example.org"],
)
async def test_an_address_that_is_none_is_refused_for_good_without_a_connection(
    address: str,
) -> None:
    with pytest.raises(InvalidAddress, match="not a mail address"):
        compose(first_notice(), sender=SENDER, recipients=(address,), now=samples.NOW)
    async with mail_server() as server:
        outcome = await channel(server).send(
            first_notice(), TenantContact(email=(address,)), samples.NOW
        )
    assert isinstance(outcome, Refused)
    assert outcome.for_good
    assert server.mails == []


async def test_a_contact_without_an_address_is_refused_for_good() -> None:
    async with mail_server() as server:
        outcome = await channel(server).send(first_notice(), TenantContact(), samples.NOW)
    assert outcome == Refused("email", "no mail address is listed", for_good=True)


@pytest.mark.parametrize(
    ("answer", "for_good"),
    [
        pytest.param("451 try again later", False, id="temporary"),
        pytest.param("554 we do not want this", True, id="permanent"),
    ],
)
async def test_a_refused_message_is_temporary_or_for_good_as_the_server_says(
    answer: str, for_good: bool
) -> None:
    async with mail_server() as server:
        server.answers = [answer]
        outcome = await channel(server).send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Refused)
    assert answer in outcome.reason
    assert outcome.for_good is for_good


@pytest.mark.parametrize(
    ("answers", "for_good"),
    [
        pytest.param({"a@example.org": "550 no", "b@example.org": "550 no"}, True, id="both-550"),
        pytest.param({"a@example.org": "550 no", "b@example.org": "451 wait"}, False, id="one-451"),
    ],
)
async def test_refused_recipients_are_for_good_only_when_all_are(
    answers: dict[str, str], for_good: bool
) -> None:
    async with mail_server() as server:
        server.refused = answers
        outcome = await channel(server).send(
            first_notice(), TenantContact(email=tuple(answers)), samples.NOW
        )
    assert isinstance(outcome, Refused)
    assert outcome.for_good is for_good
    assert server.mails == []


async def test_one_willing_recipient_is_enough_and_the_others_refusal_is_kept() -> None:
    async with mail_server() as server:
        server.refused = {"gone@example.org": "550 no such user"}
        outcome = await channel(server).send(
            first_notice(),
            TenantContact(email=("gone@example.org", "anna@example.org")),
            samples.NOW,
        )
    assert isinstance(outcome, Accepted)
    assert "refused gone@example.org: 550 no such user" in outcome.answer
    assert server.recipients == [["anna@example.org"]]


async def test_a_server_that_dies_before_its_answer_has_not_accepted() -> None:
    async with mail_server() as server:
        server.drop_before_answer = True
        outcome = await channel(server).send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good
    assert len(server.mails) == 1


async def test_a_server_that_hangs_after_accepting_has_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controller.contact.mail._GOODBYE_SECONDS", 0.05)
    async with mail_server() as server:
        server.silent_quit = True
        outcome = await channel(server).send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Accepted)


async def test_an_absent_server_is_tried_again() -> None:
    async with mail_server() as server:
        absent = channel(server)
    outcome = await absent.send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good


async def test_without_a_mail_server_there_is_no_way_to_send() -> None:
    outcome = await MailChannel(Smtp()).send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Refused)
    assert outcome.for_good


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_encrypted_mail_with_a_login_is_accepted(
    security: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret\n")
    starttls = security == "starttls"
    async with mail_server(tls=server_tls, starttls=starttls, auth=starttls) as server:
        sender = channel(
            server,
            client_tls,
            host="localhost",
            security=security,
            username="fairuse" if starttls else "",
            password_file=str(tmp_path / "password") if starttls else "",
        )
        outcome = await sender.send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Accepted)
    assert server.encrypted == [True] or security == "tls"
    assert server.logins == ([b"secret"] if starttls else [])


async def test_a_refused_login_is_tried_again_because_it_is_not_about_the_message(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("wrong")
    async with mail_server(tls=server_tls, starttls=True, auth=True) as server:
        outcome = await channel(
            server,
            client_tls,
            host="localhost",
            security="starttls",
            username="fairuse",
            password_file=str(tmp_path / "password"),
        ).send(first_notice(), CONTACT, samples.NOW)
    assert isinstance(outcome, Refused)
    assert not outcome.for_good
    assert server.mails == []


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    "host",
    [pytest.param("localhost", id="unknown-authority"), pytest.param("127.0.0.1", id="name")],
)
async def test_a_certificate_that_does_not_fit_gets_no_mail(
    security: str,
    host: str,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    trusted = ssl.create_default_context() if host == "localhost" else client_tls
    async with mail_server(tls=server_tls, starttls=security == "starttls") as server:
        outcome = await channel(server, trusted, host=host, security=security).send(
            first_notice(), CONTACT, samples.NOW
        )
    assert isinstance(outcome, Refused)
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.reason
    assert server.mails == []


async def test_a_server_without_starttls_gets_no_mail_in_the_clear() -> None:
    async with mail_server() as server:
        outcome = await channel(server, security="starttls").send(
            first_notice(), CONTACT, samples.NOW
        )
    assert isinstance(outcome, Refused)
    assert server.mails == []
