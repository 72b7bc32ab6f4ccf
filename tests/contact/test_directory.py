from __future__ import annotations

import logging
from pathlib import Path

import pytest

from controller.contact.directory import ContactDirectory
from fairuse_protocol.settings import SettingsError

GOOD = '[tenants.web-042]\nname = "Anna"\nemail = ["anna@example.org"]\n'


def test_contacts_are_found_by_tenant(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    contact = directory.contact_for("web-042")
    assert contact is not None
    assert contact.email == ("anna@example.org",)
    assert directory.contact_for("web-043") is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    path.write_text(GOOD.replace("anna@", "berit@"))
    contact = directory.contact_for("web-042")
    assert contact is not None
    assert contact.email == ("berit@example.org",)


def test_a_file_that_was_broken_leaves_the_old_contacts_in_force_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    path.write_text(GOOD.replace("email", "mail"))
    with caplog.at_level(logging.ERROR):
        assert directory.contact_for("web-042") is not None
        assert directory.contact_for("web-042") is not None
    assert "unknown key" in directory.problem
    assert "stay in force" in directory.problem
    assert len(caplog.records) == 1
    path.write_text(GOOD)
    assert directory.contact_for("web-042") is not None
    assert directory.problem == ""


def test_a_file_that_disappears_leaves_the_old_contacts_in_force(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    path.unlink()
    assert directory.contact_for("web-042") is not None
    assert "cannot be read" in directory.problem


def test_a_file_that_is_needed_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        ContactDirectory(tmp_path / "none.toml", required=True)


def test_where_nobody_is_written_to_the_file_may_come_later(tmp_path: Path) -> None:
    directory = ContactDirectory(tmp_path / "tenants.toml")
    assert directory.contact_for("web-042") is None
    (tmp_path / "tenants.toml").write_text(GOOD)
    assert directory.contact_for("web-042") is not None


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text("tenants = 3\n")
    with pytest.raises(SettingsError):
        ContactDirectory(path)


def test_a_contact_is_written_to_in_english_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD + '[tenants.web-043]\nlanguage = "da"\n')
    directory = ContactDirectory(path)
    spoken = [directory.contact_for(tenant) for tenant in ("web-042", "web-043")]
    assert [contact.language for contact in spoken if contact] == ["en", "da"]


def test_a_language_that_nobody_has_words_for_is_refused_with_those_that_there_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD + 'language = "dk"\n')
    with pytest.raises(SettingsError, match=r'language: expected one of "da", "en", found "dk"'):
        ContactDirectory(path)
