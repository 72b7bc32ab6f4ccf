"""Where the command line goes, and with which token."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairuse_cli.access import DEFAULT_URL, Access, find_access
from fairuse_cli.failures import USAGE, CommandFailed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return _settings(
        tmp_path / "home/.config/fairuse/cli.toml", "https://home", "home-token"
    ).parents[2]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return _settings(tmp_path / "here/var/cli.toml", "http://127.0.0.1:1", "local-token").parents[1]


def _settings(path: Path, url: str, token: str) -> Path:
    path.parent.mkdir(parents=True)
    (path.parent / "token").write_text(f"{token}\n")
    path.write_text(f'url = "{url}"\ntoken_file = "token"\n')
    return path


def found(
    directory: Path,
    home: Path,
    url: str | None = None,
    token_file: Path | None = None,
    **environment: str,
) -> Access:
    return find_access(url, token_file, environment=environment, directory=directory, home=home)


def test_without_anything_it_is_this_machine_and_no_token(tmp_path: Path) -> None:
    assert found(tmp_path, tmp_path) == Access(DEFAULT_URL, None)


def test_the_users_settings_are_used(tmp_path: Path, home: Path) -> None:
    assert found(tmp_path, home) == Access("https://home", "home-token")


def test_settings_in_this_directory_come_before_the_users(directory: Path, home: Path) -> None:
    assert found(directory, home) == Access("http://127.0.0.1:1", "local-token")


def test_the_environment_comes_before_settings(directory: Path, home: Path) -> None:
    access = found(directory, home, FAIRUSE_URL="https://env", FAIRUSE_TOKEN=" env-token\n")
    assert access == Access("https://env", "env-token")


def test_what_is_typed_comes_first(directory: Path, home: Path, tmp_path: Path) -> None:
    typed = tmp_path / "typed"
    typed.write_text("typed-token")
    access = found(directory, home, "https://typed", typed, FAIRUSE_URL="x", FAIRUSE_TOKEN="y")
    assert access == Access("https://typed", "typed-token")


def test_a_token_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.write_text("named-token")
    assert found(tmp_path, tmp_path, FAIRUSE_TOKEN_FILE=str(named)).token == "named-token"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(content)
    with pytest.raises(CommandFailed) as refused:
        found(tmp_path, tmp_path, token_file=empty)
    assert refused.value.status == USAGE


def test_a_wrong_key_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/cli.toml").write_text('uri = "http://127.0.0.1"\n')
    with pytest.raises(
        CommandFailed, match=r'var/cli\.toml:1: unknown key "uri"; did you mean "url"'
    ):
        found(tmp_path, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives a file to another user")
def test_another_users_settings_in_this_directory_are_refused(directory: Path, home: Path) -> None:
    os.chown(directory / "var/cli.toml", 12345, -1)
    with pytest.raises(CommandFailed, match="12345") as refused:
        found(directory, home)
    assert refused.value.status == USAGE
