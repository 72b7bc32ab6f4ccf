from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from fairuse_agent.reporting.credential import CredentialError, read_credential, store_credential
from fairuse_agent.reporting.enrol import enrol
from fairuse_agent.reporting.link import (
    Accepted,
    EnrolmentError,
    Failed,
    backoff_seconds,
    check_url,
    open_link,
)
from fairuse_agent.reporting.spool import Spool
from fairuse_agent.settings import ControllerLink
from fairuse_protocol.settings import SettingsError
from tests.agent.controller_double import ControllerDouble, controller_double
from tests.agent.rig import PLENTY, add, link_settings


async def body_in(directory: Path) -> bytes:
    spool = Spool(directory, PLENTY)
    add(spool)
    _, body = await spool.oldest()
    spool.close()
    return body


@pytest.mark.parametrize(
    "url",
    ["http://controller.example:8460", "http://10.0.0.5", "http://[2001:db8::1]", "http://0.0.0.0"],
)
def test_plain_http_to_anything_but_loopback_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="plain http is for loopback addresses only"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8460",
        "http://127.9.9.9",
        "http://[::1]:8460",
        "http://localhost",
        "https://controller.example",
    ],
)
def test_loopback_and_https_are_accepted(url: str) -> None:
    assert str(check_url(url)).startswith(url)


@pytest.mark.parametrize(
    "url", ["controller.example", "ftp://localhost", "https://", "https://user:pass@host", ""]
)
def test_what_is_no_controllers_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"controller\.url"):
        check_url(url)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_half_a_minute_and_never_end(attempt: int, random_number: float) -> None:
    pause = backoff_seconds(attempt, random_number)
    assert 0.25 <= pause <= 30
    assert pause >= backoff_seconds(max(0, attempt - 1), 0)


async def test_a_certificate_of_the_providers_own_authority_is_trusted_when_named(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    body = await body_in(tmp_path / "spool")
    async with controller_double(tls) as controller:
        settings = link_settings(tmp_path, controller.url, ca_file=str(ca_file))
        async with open_link(settings) as link:
            assert isinstance(await link.send(body), Accepted)


@pytest.mark.parametrize("flaw", ["unknown authority", "another host's name"])
async def test_a_certificate_that_does_not_prove_the_controller_gets_no_report(
    tmp_path: Path, flaw: str
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if flaw == "unknown authority":
        other.issue_cert("127.0.0.1").configure_cert(tls)
    else:
        authority.issue_cert("controller.example").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    body = await body_in(tmp_path / "spool")
    async with controller_double(tls) as controller:
        settings = link_settings(tmp_path, controller.url, ca_file=str(ca_file))
        async with open_link(settings) as link:
            outcome = await link.send(body)
        with pytest.raises(EnrolmentError, match="certificate"):
            await enrol(settings, "h1", "right-token")
        assert isinstance(outcome, Failed)
        assert "certificate" in outcome.reason
        assert controller.requests == 0


async def test_a_ca_file_without_certificates_stops_the_start(tmp_path: Path) -> None:
    settings = link_settings(tmp_path, "https://localhost", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match=r"controller\.ca_file.*none\.pem"):
        async with open_link(settings):
            pass


async def test_enrolment_stores_the_credential_for_its_owner_alone(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    path = tmp_path / "state" / "credential"
    settings = ControllerLink(url=controller.url, credential_file=str(path))
    assert await enrol(settings, "h1", "right-token") == path
    assert read_credential(path) == controller.credential
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["credential"]


async def test_a_spent_token_enrols_nobody_and_leaves_the_old_credential(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    settings = link_settings(tmp_path, controller.url, "old-credential")
    with pytest.raises(EnrolmentError, match="403 token: it is not known, was used"):
        await enrol(settings, "h1", "spent")
    assert read_credential(tmp_path / "credential") == "old-credential"


async def test_a_credential_that_cannot_be_stored_does_not_cost_the_token(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    (tmp_path / "file").touch()
    settings = ControllerLink(url=controller.url, credential_file=str(tmp_path / "file" / "c"))
    with pytest.raises(OSError, match="file"):
        await enrol(settings, "h1", "right-token")
    assert controller.requests == 0


def test_a_credential_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "credential"
    store_credential(path, "secret-text")
    path.chmod(0o640)
    with pytest.raises(CredentialError, match="expected mode 0600, found 0640") as caught:
        read_credential(path)
    assert "secret-text" not in str(caught.value)


def test_a_missing_credential_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="fairuse-agent enrol"):
        read_credential(tmp_path / "credential")


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "two\nlines\n", "\xe9\n"])
def test_a_damaged_credential_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "credential"
    path.write_text(content, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(CredentialError, match=str(path)):
        read_credential(path)


@pytest.mark.kernel
def test_root_enrols_for_the_user_that_owns_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    store_credential(folder / "credential", "secret-text")
    assert (folder / "credential").stat().st_uid == 65534
