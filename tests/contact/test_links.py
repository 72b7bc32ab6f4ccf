from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.contact.links import CustomerLinks, LinkRefused, Opened, read_or_make_secret

SECRET = bytes(range(32))
NOW = 1_000_000.0


def links(secret: bytes = SECRET, now: float = NOW) -> CustomerLinks:
    return CustomerLinks(secret, "https://fairuse.example.net/", lambda: now)


def token_for(case_id: str, expires_at: float = NOW + 60, secret: bytes = SECRET) -> str:
    url = links(secret).url_for(case_id, expires_at)
    return url.removeprefix("https://fairuse.example.net/c/")


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_a_link_opens_the_case_that_it_was_made_for(case_id: str) -> None:
    assert links().opened_by(token_for(case_id)).case_id == case_id


@pytest.mark.parametrize("language", ["", "da", "pt_BR"])
def test_a_link_says_in_which_language_its_letter_was(language: str) -> None:
    token = links().url_for("c1", NOW + 60, language).rpartition("/")[2]
    assert links().opened_by(token) == Opened("c1", language)
    if language:
        with pytest.raises(LinkRefused, match="signature"):
            links().opened_by(token.replace(f".{language}.", ".en."))


def test_a_link_stops_working_at_its_end() -> None:
    token = token_for("c1", NOW + 60)
    assert links(now=NOW + 59).opened_by(token).case_id == "c1"
    with pytest.raises(LinkRefused, match="expired"):
        links(now=NOW + 60).opened_by(token)


def test_a_link_cannot_be_turned_into_one_for_another_case_or_a_later_end() -> None:
    case_id, expiry, signature = token_for("c1").split(".")
    for forged in (f"c2.{expiry}.{signature}", f"{case_id}.{int(expiry) + 1}.{signature}"):
        with pytest.raises(LinkRefused, match="signature"):
            links().opened_by(forged)


def test_a_link_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(LinkRefused, match="signature"):
        links().opened_by(token_for("c1", secret=bytes(32)))


@given(st.text(max_size=120))
def test_nothing_but_a_link_of_ours_opens_anything(token: str) -> None:
    with pytest.raises(LinkRefused):
        links().opened_by(token)


def test_a_token_with_anything_before_or_after_it_is_refused() -> None:
    token = token_for("c1")
    for changed in (token + "\n", " " + token, token + "A", token[:-1], token.upper()):
        with pytest.raises(LinkRefused):
            links().opened_by(changed)


def test_a_case_id_that_would_not_survive_in_a_link_is_refused() -> None:
    with pytest.raises(ValueError, match="case id"):
        links().url_for("a.b", NOW)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        links(secret=b"short")


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "link-secret"
    first = read_or_make_secret(path)
    assert len(first) == 32
    assert read_or_make_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
