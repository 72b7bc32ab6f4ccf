from __future__ import annotations

import logging
from pathlib import Path

import pytest

from controller.contact.directory import ContactDirectory
from fairuse_protocol.settings import SettingsError

GOOD = """
[tenants.web-042]
name = "Anna"
[[tenants.web-042.contacts]]
email = ["anna@example.org"]
"""


def test_contacts_are_found_by_tenant(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    tenant = directory.tenant("web-042")
    assert tenant is not None
    assert tenant.people()[0].email == ("anna@example.org",)
    assert directory.tenant("web-043") is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    path.write_text(GOOD.replace("anna@", "berit@"))
    tenant = directory.tenant("web-042")
    assert tenant is not None
    assert tenant.people()[0].email == ("berit@example.org",)


def test_a_file_that_was_broken_leaves_the_old_contacts_in_force_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    path.write_text(GOOD.replace("email", "mail"))
    with caplog.at_level(logging.ERROR):
        assert directory.tenant("web-042") is not None
        assert directory.tenant("web-042") is not None
    assert "unknown key" in directory.problem
    assert "stay in force" in directory.problem
    assert len(caplog.records) == 1
    path.write_text(GOOD)
    assert directory.tenant("web-042") is not None
    assert directory.problem == ""


def test_a_file_that_disappears_leaves_the_old_contacts_in_force(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD)
    directory = ContactDirectory(path)
    path.unlink()
    assert directory.tenant("web-042") is not None
    assert "cannot be read" in directory.problem


def test_a_file_that_is_needed_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        ContactDirectory(tmp_path / "none.toml", required=True)


def test_where_nobody_is_written_to_the_file_may_come_later(tmp_path: Path) -> None:
    directory = ContactDirectory(tmp_path / "tenants.toml")
    assert directory.tenant("web-042") is None
    (tmp_path / "tenants.toml").write_text(GOOD)
    assert directory.tenant("web-042") is not None


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text("tenants = 3\n")
    with pytest.raises(SettingsError):
        ContactDirectory(path)


def test_a_contact_has_the_tenants_name_language_and_time_zone_unless_it_has_its_own(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text("""
[tenants.web-042]
name = "Example Ltd"
language = "da"
time_zone = "Europe/Copenhagen"
[[tenants.web-042.contacts]]
[[tenants.web-042.contacts]]
name = "Anna"
language = "en"
time_zone = "Asia/Tokyo"
""")
    tenant = ContactDirectory(path).tenant("web-042")
    assert tenant is not None
    assert [(each.name, each.language, each.time_zone) for each in tenant.people()] == [
        ("Example Ltd", "da", "Europe/Copenhagen"),
        ("Anna", "en", "Asia/Tokyo"),
    ]


def test_a_time_zone_that_there_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD + 'time_zone = "Copenhagen"\n')
    with pytest.raises(SettingsError, match=r'time_zone: expected .*, found "Copenhagen"'):
        ContactDirectory(path)


def test_a_language_that_nobody_has_words_for_is_refused_with_those_that_there_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(GOOD + 'language = "dk"\n')
    with pytest.raises(SettingsError, match=r'language: expected one of "da", "en", found "dk"'):
        ContactDirectory(path)
